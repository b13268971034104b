#!/usr/bin/env bash
# Builds and runs the codec bench: bench/codec/run.sh <data-dir> [csv]
#
# <data-dir> holds *.bin or *.bin.gz. NVCC names the compiler (default: nvcc on the path), ARCH the GPU (default sm_90),
# CUDA_INCLUDE the folder of cuda.h (default: nvcc's). Without nvcc, BUILD=<folder> with what an earlier run built there.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
data=${1:?usage: run.sh <data-dir> [csv]}
csv=${2:--}
build=${BUILD:-$root/build/bench-codec}
nvcc=${NVCC:-$(command -v nvcc || true)}
mkdir -p "$build"

if [ -n "$nvcc" ]; then
  arch=${ARCH:-sm_90}
  include=${CUDA_INCLUDE:-$(cd "$(dirname "$nvcc")/../include" && pwd)}
  for f in sample analyse pack unpack scan; do echo "#include \"device/$f.cu\""; done > "$build/kernels.cu"
  "$nvcc" -std=c++20 -O3 -arch="$arch" ${NVCC_FLAGS:-} -cubin -I "$root/kernels/include" -I "$root/kernels" \
    -o "$build/loretoken_kernels.cubin" "$build/kernels.cu"
  "$nvcc" -std=c++20 -O3 -arch="$arch" -cubin -I "$root/kernels/include" -o "$build/bench_kernels.cubin" "$here/kernels.cu"
  g++ -std=c++20 -O2 -isystem "$include" -I "$root/kernels/include" -I "$root/kernels" -o "$build/codec_bench" \
    "$here/codec_bench.cpp" "$root/kernels/src/codec.cpp" -ldl
fi
[ "${BUILD_ONLY:-}" ] && exit 0

tensors=$(mktemp -d)
trap 'rm -rf "$tensors"' EXIT
for file in "$data"/*.bin.gz; do [ -e "$file" ] && gunzip -c "$file" > "$tensors/$(basename "${file%.gz}")"; done
for file in "$data"/*.bin; do [ -e "$file" ] && cp "$file" "$tensors/"; done
# bf16 weights first: the small jobs use the first tensor.
first=$(ls "$tensors"/weight-mlp-up.bfloat16.bin 2>/dev/null || true)
# shellcheck disable=SC2046
"$build/codec_bench" "$build/loretoken_kernels.cubin" "$build/bench_kernels.cubin" "$csv" $first \
  $(ls "$tensors"/*.bin | grep -vx "${first:-none}")
