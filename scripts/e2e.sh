#!/usr/bin/env bash
# End-to-end tests (docs/cluster-tests.md): on a Kubernetes of their own, or on the cluster of KUBECONFIG if that is set.
#   scripts/e2e.sh [test file…]      all of test/e2e by default
set -euo pipefail
cd "$(dirname "$0")/.."
files=("$@")
[ ${#files[@]} -gt 0 ] || files=(test/e2e/*.test.ts)
if [ -z "${KUBECONFIG:-}" ]; then
  scripts/bootstrap.sh cluster
  node test/cluster/src/cluster/check.ts
  node test/cluster/src/binaries/main.ts --clean
else
  scripts/bootstrap.sh cluster # busybox for images
fi
# One file at a time: each has a cluster of its own, and two cores hold one.
exec node --test --test-concurrency=1 --test-timeout=600000 "${files[@]}"
