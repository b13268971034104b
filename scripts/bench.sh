#!/usr/bin/env bash
# Runs every measurement in bench/ (executables named run-*), each of which writes its figures to bench/results/.
set -euo pipefail
cd "$(dirname "$0")/.."
if ! scripts/has-gpu.sh; then
  cat >&2 <<'TEXT'
bench: no NVIDIA GPU here (no /dev/nvidia* or no libcuda.so.1). The figures are about hardware, so nothing was measured.
Run `make bench` on a machine with a GPU and driver 12.8 or later; earlier figures are in bench/results/.
TEXT
  exit 1
fi
shopt -s nullglob
runs=(bench/run-*)
if [ ${#runs[@]} -eq 0 ]; then
  echo "bench: bench/ holds no measurement (executables named run-*)" >&2
  exit 1
fi
scripts/bootstrap.sh base cxx cuda-headers nvcc node
make build
for run in "${runs[@]}"; do
  echo "== $run"
  "$run"
done
