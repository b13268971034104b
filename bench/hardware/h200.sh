#!/usr/bin/env bash
# One call on a machine with a GPU: build the shim, run some sections of run.py, print their table last.
#   h200.sh OUT SECONDS SECTIONS [further arguments of run.py…]
#     OUT       folder for results.json, table.txt, opdb results and logs.tgz
#     SECONDS   for everything, the build included
#     SECTIONS  as run.py: plain,strict-learned,strict-strict,fits,limited,latency,opdb
#   COMMIT=…    what to record where there is no git; BUILD=… build folder (default build/hardware; kept between calls);
#   SKIP_BUILD=1 takes what is built there
set -u -o pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
out=${1:?folder} seconds=${2:?seconds} sections=${3:?sections}
shift 3
build=${BUILD:-$root/build/hardware}
python=${PYTHON:-python3}
mkdir -p "$out/logs" "$build/bin"
build=$(cd "$build" && pwd)
out=$(cd "$out" && pwd)
begin=$SECONDS

nvcc=$(command -v nvcc || ls /usr/local/cuda*/bin/nvcc 2>/dev/null | head -1)
cuda=$(dirname "$(dirname "$(readlink -f "$nvcc")")")
for include in "${CUDA_INCLUDE:-}" "$cuda/include" "$cuda/targets/x86_64-linux/include" /usr/local/cuda/include; do
  [ -f "$include/cuda.h" ] && break
done

build_shim() {
  cmake -S "$root" -B "$build" -G Ninja "-DLORETOKEN_ROOMS=kernels;shim" -DLORETOKEN_TESTS=OFF -DCMAKE_BUILD_TYPE=RelWithDebInfo \
    -DLORETOKEN_CUDA_INCLUDE="$include" \
    -DLORETOKEN_NVCC="$nvcc" "-DLORETOKEN_NVCC_FLAGS=-std=c++20;-O3;-gencode;arch=compute_90,code=sm_90" &&
    cmake --build "$build" --target loretoken loretoken_kernels
}

build_dump() {
  g++ -O1 -std=c++20 "$here/telemetry_dump.cpp" -I "$root/shim/include" -o "$build/bin/telemetry_dump"
}

build_latency() {
  local library
  library=$(ldconfig -p | awk '/libcuda\.so\.1 /{print $NF; exit}')
  library=${library:-$(ls $(tr : "\n" <<< "${LD_LIBRARY_PATH:-}" | sed "s|$|/libcuda.so.1|") /usr/local/nvidia/lib64/libcuda.so.1 /usr/lib/x86_64-linux-gnu/libcuda.so.1 2>/dev/null | head -1)}
  "$nvcc" -O2 -std=c++17 -cubin -arch=sm_90 "$here/launch_latency_kernels.cu" -o "$build/bin/launch_latency.cubin" &&
    g++ -O2 -std=c++17 "$here/launch_latency.cpp" -I "$include" "$library" -Wl,--allow-shlib-undefined -o "$build/bin/launch_latency"
}

if [ "$sections" != plain ]; then
  if ! { [ -n "${SKIP_BUILD:-}" ] || build_shim; } > "$out/logs/build.log" 2>&1; then
    grep -E "error|FAILED|Error" "$out/logs/build.log" | head -30
    tail -20 "$out/logs/build.log"
    exit 1
  fi
  build_dump || echo "no counters: telemetry_dump did not build"
  ls -l "$build/lib/libloretoken.so" "$build/lib/loretoken_kernels.fatbin" || exit 1
fi
latency=()
if [[ ",$sections," == *,latency,* ]]; then
  if build_latency >> "$out/logs/build.log" 2>&1; then
    latency=(--latency-binary "$build/bin/launch_latency")
  else
    tail -5 "$out/logs/build.log"
    sections=$(printf %s ",$sections," | sed 's/,latency,/,/; s/^,//; s/,$//')
  fi
fi
spent=$((SECONDS - begin))
echo "built in $spent s"

export COMMIT=${COMMIT:-$(git -C "$root" rev-parse HEAD 2>/dev/null || echo unknown)} PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
"$python" "$here/run.py" --out "$out" --build "$build" --sections "$sections" --budget $((seconds - spent - 10)) \
  "${latency[@]}" "$@" > "$out/logs/run.log" 2>&1
code=$?
"$python" "$here/table.py" "$out/results.json" > "$out/table.txt" 2>>"$out/logs/run.log"
[ $code -eq 0 ] || tail -20 "$out/logs/run.log"
tar czf "$out/logs.tgz" -C "$out" logs && rm -rf "$out/logs"
cat "$out/table.txt"
exit $code
