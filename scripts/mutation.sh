#!/usr/bin/env bash
# Switches one safety mechanism of the shim off at a time and expects a test to fail for each.
#   scripts/mutation.sh [NAME…]      all by default; MUTATION_SEEDS: seeds of generated programs per try (default 60)
# Needs the release build, whose tests and simulator it uses; only the shim is built anew, and of it what knows the
# mutation. Ends with a table; exit status 1 if a mutation survived.
set -euo pipefail
cd "$(dirname "$0")/.."
build=build/mutation
names=("$@")
[ ${#names[@]} -gt 0 ] || names=(PARAM_SCAN ESCAPE_EDGES CLOSURE HOST_SCAN EVENT_WAIT VERIFY FENCE STREAM_SAFE_FREE)

# What can kill a mutation, cheapest first.
filter_of() {
  case $1 in
    VERIFY) echo 'Integrity.*' ;;
    *) echo 'Reach.*:Races.*:GeneratedPrograms.*' ;;
  esac
}
tests=build/release/bin/integration_tests
[ -x "$tests" ] || { echo "no $tests: make build comes first" >&2; exit 1; }
export LT_FUZZ_SEEDS=${MUTATION_SEEDS:-60}
mkdir -p "$build"

# Tests of one mutation, with a copy of its shim; leaves what killed it in NAME.killer, empty if nothing did.
try_mutation() {
  local name=$1 filter
  filter=$(filter_of "$name")
  echo "mutation $name: running $filter"
  : > "$build/$name.killer"
  if LT_SHIM=$PWD/$build/$name.so "$tests" --gtest_fail_fast --gtest_filter="$filter" > "$build/$name.log" 2>&1; then return; fi
  grep -m1 -oE 'FAILED  \] [A-Za-z]+\.[A-Za-z]+(/[0-9]+)?' "$build/$name.log" | sed 's/FAILED  \] //' > "$build/$name.killer" ||
    echo "a crash" > "$build/$name.killer"
}

# The next one is built while the tests of those before it run: one test alone does not fill the processors.
for name in "${names[@]}"; do
  cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DLORETOKEN_GPU_KERNELS=OFF -DLORETOKEN_MUTATE="$name" > "$build/cmake.log"
  if ! cmake --build "$build" --target loretoken > "$build/build.log" 2>&1; then
    tail -20 "$build/build.log"
    exit 1
  fi
  cp "$build/lib/libloretoken.so" "$build/$name.so"
  while [ "$(jobs -rp | wc -l)" -ge "$(nproc)" ]; do wait -n; done
  try_mutation "$name" &
done
wait

survived=()
table=""
for name in "${names[@]}"; do
  killer=$(cat "$build/$name.killer")
  [ -n "$killer" ] || survived+=("$name")
  table+="$(printf '%-18s %s' "$name" "${killer:+killed by }${killer:-SURVIVED}")"$'\n'
done
printf '\n%s' "$table"
if [ ${#survived[@]} -gt 0 ]; then
  echo "survived: ${survived[*]}"
  exit 1
fi
