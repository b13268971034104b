#!/usr/bin/env bash
# A program that needs several times the memory of its card: alone it fails, with LoreToken it runs, and every byte is
# the same as on a large card. On the machine's GPU if there is one, else on simulated cards. DEMO=sim forces the latter.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH=$PWD/.toolchain/bin:$PATH
jobs=${JOBS:-$(nproc)}
build=build/release
if [ "${DEMO:-}" != sim ] && scripts/has-gpu.sh; then gpu=1; else gpu=0; fi

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }

prepare() {
  scripts/bootstrap.sh base cxx cuda-headers node
  if [ $gpu = 1 ]; then scripts/bootstrap.sh nvcc; fi
  make node_modules/.package-lock.json
  cmake --preset release -DLORETOKEN_TESTS=OFF -DLORETOKEN_GPU_KERNELS=$gpu >/dev/null
  cmake --build --preset release -j "$jobs" --target demo_parts
}

loretoken() { node cli/src/main.ts "$@"; }

# simulated <card size> <command…>: plain, no shim.
simulated() {
  local card=$1
  shift
  LD_LIBRARY_PATH=$PWD/$build/lib/sim LORETOKEN_SIM_DEVICES=$card "$@"
}

hash_of() { sed -n 's/^hash //p' "$1"; }

out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
if [ ! -t 1 ]; then say() { printf '\n%s\n' "$*"; }; fi

say "Building what the demo needs"
prepare

if [ $gpu = 1 ]; then
  limit=1GiB virtual=4GiB
  program=("$build/bin/lt_train_example" --live 3GiB --width 1024 --batch 256 --steps 60)
  say "1. The program on the card as it is"
  "${program[@]}" | tee "$out/plain"
  say "2. The same with LoreToken: it may hold $limit of the card, and is told there are $virtual"
  loretoken run --limit $limit --virtual $virtual --report -- "${program[@]}" | tee "$out/enlarged"
else
  card=192MiB virtual=1GiB
  program=("$build/bin/lt_train_example" --live 560MiB --steps 20)
  say "1. The program on a simulated card of $card: it does not fit"
  if simulated $card "${program[@]}"; then
    echo "demo: the program was expected to run out of memory here, but it did not" >&2
    exit 1
  fi
  say "2. The same on a simulated card of 1 GiB"
  simulated 1GiB "${program[@]}" | tee "$out/plain"
  say "3. On the card of $card again, with LoreToken"
  loretoken run --gpu sim:$card --virtual $virtual --report -- "${program[@]}" | tee "$out/enlarged"
fi

plain=$(hash_of "$out/plain")
enlarged=$(hash_of "$out/enlarged")
if [ -z "$plain" ] || [ "$plain" != "$enlarged" ]; then
  say "DIFFERENT: ${plain:-no hash} without, ${enlarged:-no hash} with LoreToken"
  exit 1
fi
say "Same bits: hash $plain with and without LoreToken"
