#!/usr/bin/env bash
# Generates into an empty folder and compares with what is checked in.
set -euo pipefail
cd "$(dirname "$0")/.."
fresh=$(mktemp -d)
trap 'rm -rf "$fresh" "$fresh.diff"' EXIT
scripts/generate.sh "$fresh"
status=0
while IFS= read -r file; do
  if ! diff -u "$file" "$fresh/$file" >"$fresh.diff" 2>&1; then
    head -n 30 "$fresh.diff" | cut -c1-200
    echo "$file is not up to date: run make generate and commit it" >&2
    status=1
  fi
done < <(cd "$fresh" && find . -type f | sed 's#^\./##' | sort)
exit $status
