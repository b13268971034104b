#!/usr/bin/env bash
# Source files hold one idea each: at most 400 lines. Generated and recorded files (go.sum too) and tables (.def, .inc) are not counted.
set -euo pipefail
cd "$(dirname "$0")/.."
files=$(git ls-files --cached --others --exclude-standard)
status=0
while IFS= read -r file; do
  case $file in *.gen.ts | *.def | *.inc | package-lock.json | */go.sum | LICENSE | crds/* | charts/loretoken/*/crds/* | charts/loretoken/values.* | charts/loretoken/files/dashboards/* | test/chart/expected/* | test/chart/third-party/* | docs/reference/* | bench/results/* | test/sim/conformance/expected-*) continue ;; esac
  [ -f "$file" ] || continue
  lines=$(wc -l <"$file")
  if [ "$lines" -gt 400 ]; then
    echo "$file: $lines lines, at most 400 are allowed; split it by ideas" >&2
    status=1
  fi
done <<<"$files"
exit $status
