#!/usr/bin/env bash
# Everything that can be checked without running the program. Runs all checks, then fails if one did.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
failed=()
check() {
  local name=$1
  shift
  if "$@"; then echo "ok      $name"; else echo "FAILED  $name"; failed+=("$name"); fi
}
check "types (tsc)" node_modules/.bin/tsc --noEmit
check "format and lint (clang-format, Biome)" scripts/format.sh check
check "file lengths" scripts/check-length.sh
check "generated files up to date" scripts/check-generated.sh
if [ ${#failed[@]} -gt 0 ]; then
  printf 'verify: %d failed\n' ${#failed[@]} >&2
  exit 1
fi
