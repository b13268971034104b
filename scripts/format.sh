#!/usr/bin/env bash
# scripts/format.sh check|fix: C++ and CUDA by clang-format 14, TypeScript and JSON by Biome.
set -euo pipefail
cd "$(dirname "$0")/.."
mode=${1:?usage: scripts/format.sh check|fix}
clang_format=$(scripts/find-clang-format.sh)
sources=$(git ls-files --cached --others --exclude-standard '*.cpp' '*.h' '*.cu' '*.cuh')
existing=()
for source in $sources; do if [ -f "$source" ]; then existing+=("$source"); fi; done
case $mode in
  check)
    "$clang_format" --dry-run -Werror "${existing[@]}"
    node_modules/.bin/biome check --error-on-warnings .
    ;;
  fix)
    "$clang_format" -i "${existing[@]}"
    node_modules/.bin/biome check --write .
    ;;
  *) echo "usage: scripts/format.sh check|fix" >&2; exit 2 ;;
esac
