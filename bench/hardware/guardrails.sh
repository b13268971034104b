#!/usr/bin/env bash
# Heat and power guardrails on a real card (guardrails.py says what), and the pace of packing.
#   guardrails.sh OUT [further arguments of guardrails.py…]
# Needs what h200.sh built (build/hardware, or BUILD).
set -u -o pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
out=${1:?folder}
shift
build=$(cd "${BUILD:-$root/build/hardware}" && pwd)
mkdir -p "$out"
for program in control_writer telemetry_dump; do
  g++ -O1 -std=c++20 "$here/$program.cpp" -I "$root/shim/include" -o "$build/bin/$program" || exit 1
done
exec "${PYTHON:-python3}" "$here/guardrails.py" "$out" "$build" "$@"
