#!/usr/bin/env bash
# Facts about a machine's driver and whether the measured programs run there without the shim.
#   facts.sh OUT [programs…]     OUT: folder for logs; programs: all by default
set -u -o pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=${1:?folder for logs}
shift
mkdir -p "$out"
python=${PYTHON:-python3}
cuda_include=${CUDA_INCLUDE:-$(dirname "$(dirname "$(readlink -f "$(command -v nvcc)")")")/include}

nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader
library=$(ldconfig -p | awk '/libcuda\.so\.1 /{print $NF; exit}')
library=${library:-$(ls /usr/local/nvidia/lib64/libcuda.so.1 2>/dev/null)}
library=${library:-$(find / -name 'libcuda.so.1' -not -path '/proc/*' 2>/dev/null | head -1)}
if g++ -O1 -std=c++17 "$here/facts.cpp" -I "$cuda_include" -ldl -o "$out/facts"; then
  nm -D --defined-only "$(readlink -f "$library")" | awk '$2 ~ /[TtWi]/ {print $3}' | sed 's/@.*//' | grep '^cu[A-Z]' |
    sort -u > "$out/exports.txt"
  "$out/facts" < "$out/exports.txt" > "$out/doors.txt"
  rm -f "$out/facts"
  grep -v '^alias' "$out/doors.txt" | head -60
fi

"$python" "$here/run.py" --out "$out/plain" --sections plain --timeout 90 ${1:+--programs "$@"}
