#!/usr/bin/env bash
# train_test.sh <lt_train_example> <case>: one case on the simulator, which the caller put on LD_LIBRARY_PATH.
set -uo pipefail
program=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export LORETOKEN_SIM_STATE=$work/state

fail() {
  echo "FAILED: $*"
  cat "$work"/out* 2>/dev/null
  exit 1
}

# run <name> <expected exit code> <arguments…>
run() {
  local name=$1 expected=$2
  shift 2
  "$program" "$@" >"$work/out.$name" 2>&1
  local code=$?
  [ $code = "$expected" ] || fail "exit code $code instead of $expected: $*"
}

case $2 in
  same_bits_each_run)
    export LORETOKEN_SIM_DEVICES=256MiB
    for seed in 1 2 3; do
      LORETOKEN_SIM_SEED=$seed run $seed 0 --live 64MiB --steps 20 --hash-only
      cmp -s "$work/out.1" "$work/out.$seed" || fail "another hash under schedule $seed"
    done
    run other 0 --live 64MiB --steps 20 --hash-only --seed 2
    cmp -s "$work/out.1" "$work/out.other" && fail "the hash does not depend on the data"
    ;;
  learns)
    LORETOKEN_SIM_DEVICES=256MiB run learns 0 --steps 60
    losses=$(sed -n 's/^step.*loss \([0-9.]*\).*/\1/p' "$work/out.learns")
    awk 'NR == 1 { first = $1 } { last = $1 } END { exit !(last < 0.7 * first) }' <<<"$losses" || fail "the loss does not fall"
    ;;
  out_of_memory_says_the_figures)
    LORETOKEN_SIM_DEVICES=64MiB run oom 3 --live 200MiB --steps 20
    grep -q "out of device memory: no room for .* more with .* live" "$work/out.oom" || fail "no figures"
    ;;
  wrong_usage_is_explained)
    run width 1 --width 12
    grep -q -- "--width 12: must be a multiple of 8" "$work/out.width" || fail "no reason"
    run live 1 --live 3
    grep -q -- "--live 3: must be a size" "$work/out.live" || fail "no reason"
    run kernels 1 --kernels /no/such/file
    grep -q "no kernel image fits" "$work/out.kernels" || fail "no reason"
    ;;
  a_flipped_bit_is_found)
    # Flips fall anywhere in device memory; of several, one in a live buffer before its next check must be found.
    found=0
    for seed in 1 2 3 4 5 6; do
      LORETOKEN_SIM_DEVICES=256MiB LORETOKEN_SIM_FLIP=400:$seed "$program" --live 96MiB --steps 40 >"$work/out.$seed" 2>&1
      [ $? = 4 ] && grep -q "changed between two uses" "$work/out.$seed" && found=1 && break
    done
    [ $found = 1 ] || fail "no flipped bit was found"
    ;;
  *)
    fail "unknown case $2"
    ;;
esac
echo "passed"
