#!/usr/bin/env bash
# compare.sh <sim_conformance> <kernels> <expected.txt> <known-differences.txt>
# Runs the program and compares its lines with the recording from hardware. A line of known-differences.txt is the start
# of lines ("section.what") that may differ; `#` begins a comment. Fails on any other difference, and on an entry that
# matches no line of either side.
set -euo pipefail
program=$1 kernels=$2 expected=$3 known=$4
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$program" --kernels "$kernels" >"$work/all"
sed -e 's/[[:space:]]*#.*$//' -e '/^[[:space:]]*$/d' "$known" >"$work/known"
keep() {
  awk 'NR == FNR { start[$0]; next } { for (s in start) if (index($0, s) == 1) next; print }' "$work/known" "$1"
}
# awk takes an empty first file for the second one.
if [ -s "$work/known" ]; then
  keep "$work/all" >"$work/actual"
  keep "$expected" >"$work/wanted"
else
  cp "$work/all" "$work/actual"
  cp "$expected" "$work/wanted"
fi
while IFS= read -r start; do
  awk -v start="$start" 'index($0, start) == 1 { found = 1 } END { exit !found }' "$work/all" "$expected" ||
    { echo "known-differences.txt: \"$start\" matches no line"; exit 1; }
done <"$work/known"
diff -u --label hardware "$work/wanted" --label simulator "$work/actual" && echo "$(wc -l <"$work/actual") lines equal"
