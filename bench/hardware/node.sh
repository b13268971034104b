#!/usr/bin/env bash
# The agent on a real kubelet and containerd with this machine's GPU: two pods share the card, one over-commits its share,
# PyTorch in the other; NVML binding, metrics and telemetry beside them; the penalty guardrail. Needs root, and nothing of
# Kubernetes, Node or network: pack-node.sh makes what is carried here.
#   node.sh prepare OUT                  unpacks build/hardware/node/part*, builds the shim for this card, and checks that the
#                                        machine can be a node, as far as the parts are there (part1 and part3 suffice)
#   node.sh run OUT SECONDS [STEPS]      prepares if need be and runs; STEPS: share,nvml,penalty,xid
#     OUT       folder for table.txt, results.json and logs.tgz
#     SECONDS   for everything; a step that would take longer is cut off and says so
#   COMMIT=…    what to record where there is no git; NODE_PENALTY=… percent for the guardrail's step (1)
#   GPU=sim     the simulated driver of BUILD (build/release) in the place of a card: a rehearsal, which measures nothing
set -u -o pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
what=${1:?prepare or run} out=${2:?folder} seconds=${3:-600} steps=${4:-share,nvml,penalty}
mkdir -p "$out/logs"
out=$(cd "$out" && pwd)
begin=$SECONDS
parts=$root/build/hardware/node
place=$parts/unpacked
gpu=${GPU:-real}

die() {
  echo "node.sh: $*" >&2
  exit 1
}

# unpack <tar.xz>: once for each content
unpack() {
  local archive=$1 mark
  mark=$place/.$(sha256sum < "$archive" | cut -c1-32)
  [ ! -e "$mark" ] || return 0
  mkdir -p "$place"
  if command -v xz > /dev/null; then
    xz -dc "$archive" | tar xf - -C "$place"
  else
    python3 -c 'import lzma, shutil, sys; shutil.copyfileobj(lzma.open(sys.argv[1]), sys.stdout.buffer, 1 << 20)' "$archive" | tar xf - -C "$place"
  fi && : > "$mark"
}

unpack_all() {
  local archive
  for archive in "$parts"/part*/*.tar.xz; do
    [ ! -e "$archive" ] || unpack "$archive" || die "$archive could not be unpacked"
  done
}

build_shim() {
  local nvcc cuda include
  nvcc=$(command -v nvcc || ls /usr/local/cuda*/bin/nvcc 2> /dev/null | head -1)
  cuda=$(dirname "$(dirname "$(readlink -f "$nvcc")")")
  for include in "${CUDA_INCLUDE:-}" "$cuda/include" "$cuda/targets/x86_64-linux/include" /usr/local/cuda/include; do
    [ -f "$include/cuda.h" ] && break
  done
  cmake -S "$root" -B "$build" -G Ninja "-DLORETOKEN_ROOMS=kernels;shim;examples" -DLORETOKEN_TESTS=OFF -DCMAKE_BUILD_TYPE=RelWithDebInfo \
    -DLORETOKEN_CUDA_INCLUDE="$include" -DLORETOKEN_NVCC="$nvcc" \
    "-DLORETOKEN_NVCC_FLAGS=-std=c++20;-O3;-gencode;arch=compute_90,code=sm_90" &&
    cmake --build "$build" --target loretoken loretoken_kernels lt_train_kernels lt_train_example &&
    "$nvcc" -arch=sm_90 -o "$build/bin/xid_fault" "$here/node/fault.cu"
}

# Where the card's libraries are: a folder that can be handed to a container, not one of the system's own.
driver_folder() {
  local library folder
  library=$(ldconfig -p | awk '/libnvidia-ml\.so\.1 /{print $NF; exit}')
  for folder in ${library:+"$(dirname "$library")"} $(tr : '\n' <<< "${LD_LIBRARY_PATH:-}") /usr/local/nvidia/lib64 /usr/lib/x86_64-linux-gnu; do
    [ -e "$folder/libcuda.so.1" ] && [ -e "$folder/libnvidia-ml.so.1" ] && break
  done
  [ -e "$folder/libnvidia-ml.so.1" ] || return 1
  case $(readlink -f "$folder") in
    /usr/lib/* | /lib/*)
      mkdir -p "$place/driver"
      cp -L "$folder"/libcuda.so.1 "$folder"/libnvidia-*.so* "$folder"/libcudadebugger.so* "$place/driver/" 2> /dev/null
      folder=$place/driver
      ;;
  esac
  echo "$folder"
}

if [ "$gpu" = sim ]; then
  build=${BUILD:-$root/build/release}
else
  build=${BUILD:-$root/build/hardware}
fi
mkdir -p "$build"
build=$(cd "$build" && pwd)
unpack_all &
unpacking=$!
if [ "$gpu" != sim ] && [ -z "${SKIP_BUILD:-}" ]; then
  if ! build_shim > "$out/logs/build.log" 2>&1; then
    grep -E "error|FAILED" "$out/logs/build.log" | head -20
    die "the shim does not build: $(tail -3 "$out/logs/build.log")"
  fi
fi
wait $unpacking || exit 1
for file in lib/libloretoken.so bin/lt_train_example; do [ -e "$build/$file" ] || die "$build/$file is missing"; done
echo "prepared in $((SECONDS - begin)) s: $(ls "$place" "$place/bin" 2> /dev/null | tr '\n' ' ')"
export NODE_GPU=$gpu NODE_OUT=$out NODE_ROOT=${NODE_ROOT:-/tmp/loretoken-node} NODE_BIN=$place/bin
network=--net
unshare --net true 2> /dev/null || network=
# runc's library for system call filters, where the machine has none.
export LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$place/lib

# in_node <seconds> <command…>: in namespaces of its own, of which nothing is left
in_node() {
  local limit=$1 code
  shift
  timeout --signal=TERM --kill-after=10 "$limit" \
    unshare --mount --pid --uts --fork --kill-child --mount-proc --propagation private $network bash "$here/node/inside.sh" "$@" 2>&1 |
    tee -a "$out/logs/run.log"
  code=${PIPESTATUS[0]}
  find /sys/fs/cgroup -depth -type d \( -path '*/kubepods*' -o -path '*/k8s.io*' -o -name loretoken-check \) -exec rmdir {} + 2> /dev/null
  rm -rf "$NODE_ROOT"
  return "$code"
}

if [ "$what" != run ]; then
  [ -e "$place/bin/runc" ] || exit 0
  in_node 30 bash "$here/node/check.sh" || die "a container does not run on this machine"
  exit 0
fi

for name in bin/kube-apiserver bin/etcd bin/kubelet bin/containerd bin/runc bin/node bin/busybox agent/loretoken-agent.js run/main.js; do
  [ -e "$place/$name" ] || die "$place/$name is missing: carry the part that has it (build/hardware/node/part*)"
done
if [ "$gpu" = sim ]; then
  NODE_DRIVER=$build/lib/sim
else
  NODE_DRIVER=$(driver_folder) || die "there is no driver: libcuda.so.1 and libnvidia-ml.so.1 were looked for"
  NODE_PYTHON=$(python3 -c 'import sys; print(sys.executable)')
  NODE_PYTHON_FOLDERS=$(python3 -c 'import os, sys; print(":".join(sorted({sys.prefix, sys.base_prefix, os.path.dirname(os.path.dirname(os.path.realpath(sys.executable)))})))')
  export NODE_PYTHON NODE_PYTHON_FOLDERS
fi
export NODE_DRIVER NODE_AGENT=$place/agent NODE_BUILD=$build NODE_TREE=$root NODE_STEPS=$steps
export NODE_SECONDS=$((seconds - (SECONDS - begin) - 15)) COMMIT=${COMMIT:-$(git -C "$root" rev-parse HEAD 2> /dev/null || echo unknown)}
in_node $((NODE_SECONDS + 5)) "$place/bin/node" "$place/run/main.js"
code=$?
tar czf "$out/logs.tgz" -C "$out" logs && rm -rf "$out/logs"
exit $code
