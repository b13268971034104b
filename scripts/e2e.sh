#!/usr/bin/env bash
# End-to-end tests (docs/cluster-tests.md): on a Kubernetes of their own, or on the cluster of KUBECONFIG if that is set.
#   scripts/e2e.sh [--where-possible] [--twice] [test file…]      all of test/chart and test/e2e by default
#     --where-possible   a machine that can hold no node, or gets no programs of Kubernetes, is told so and is no failure
#     --twice            a file that fails has a second chance, and is named at the end: a slow machine is no news, a test that
#                        often needs it is
set -euo pipefail
cd "$(dirname "$0")/.."
possible= twice=
while [[ "${1:-}" == --* ]]; do
  case $1 in
    --where-possible) possible=1 ;;
    --twice) twice=1 ;;
    *)
      echo "e2e: unknown option $1; known are --where-possible and --twice" >&2
      exit 2
      ;;
  esac
  shift
done
files=("$@")
[ ${#files[@]} -gt 0 ] || files=(test/chart/*.test.ts test/e2e/*.test.ts)

give_up() {
  [ -n "$possible" ] || exit 1
  echo "e2e: NOT RUN: $1"
  exit 0
}

if [ -z "${KUBECONFIG:-}" ]; then
  scripts/bootstrap.sh cluster || give_up "system packages of the test cluster are missing, see above"
  node test/cluster/src/cluster/check.ts || give_up "this machine can hold no node, see above"
  node test/cluster/src/binaries/main.ts --clean || give_up "the cluster's programs could not be provided, see above"
fi
# One file at a time: each has a cluster of its own, and two cores hold one.
tests() { node --test --test-concurrency=1 --test-timeout=600000 "$@"; }
if [ -z "$twice" ]; then
  tests "${files[@]}"
  exit
fi
failed=()
for file in "${files[@]}"; do
  echo "e2e: $file"
  tests "$file" || failed+=("$file")
done
for file in "${failed[@]}"; do
  echo "e2e: FAILED, once more: $file"
  tests "$file" || exit 1
done
[ ${#failed[@]} -eq 0 ] || echo "e2e: at the second time only: ${failed[*]}"
