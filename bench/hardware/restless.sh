#!/usr/bin/env bash
# Programs whose limit, mode and policy change all the while: same results as without LoreToken?
#   restless.sh OUT SECONDS [PROGRAM…]     PROGRAM: "name: arguments: least limit: most limit" (MiB); default below
# Needs what h200.sh built (build/hardware, or BUILD). Prints a line per program.
set -u -o pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
out=${1:?folder} seconds=${2:?seconds}
shift 2
build=$(cd "${BUILD:-$root/build/hardware}" && pwd)
mkdir -p "$out/logs"
uuid=$(nvidia-smi --query-gpu=uuid --format=csv,noheader | head -1)
end=$((SECONDS + seconds))
g++ -O1 -std=c++20 "$here/restless_agent.cpp" -I "$root/shim/include" -o "$build/bin/restless_agent" || exit 1
g++ -O1 -std=c++20 "$here/telemetry_dump.cpp" -I "$root/shim/include" -o "$build/bin/telemetry_dump" || exit 1
[ $# -gt 0 ] || set -- "train_mlp:--scale large --steps 12:9000:16000" "moe_grouped:--scale large --steps 6:8000:13000" \
  "train_conv:--scale large --steps 4:9000:16000"
export PYTORCH_ALLOC_CONF=backend:cudaMallocAsync PYTORCH_CUDA_ALLOC_CONF=backend:cudaMallocAsync

field() { python3 -c 'import json,sys; print(json.loads([l for l in open(sys.argv[1]) if l.startswith("{")][-1])[sys.argv[2]])' "$1" "$2"; }

for program in "$@"; do
  IFS=: read -r name arguments least most <<< "$program"
  left=$((end - SECONDS))
  [ $left -gt 20 ] || { echo "$name: no time left"; continue; }
  plain=$out/logs/$name-plain.log log=$out/logs/$name-restless.log
  # shellcheck disable=SC2086  # arguments are words
  timeout $left python3 "$here/programs/$name.py" $arguments > "$plain" 2>&1 || { echo "$name: the plain run failed"; continue; }
  "$build/bin/restless_agent" "$out/logs/control" "$uuid" $((least << 20)) $((most << 20)) 7 &
  agent=$!
  sleep 0.3
  rm -f "$out/logs/telemetry"
  # shellcheck disable=SC2086
  LD_PRELOAD=$build/lib/libloretoken.so LORETOKEN_KERNELS=$build/lib/loretoken_kernels.fatbin LORETOKEN_LIMIT=${most}MiB \
    LORETOKEN_VIRTUAL=60GiB LORETOKEN_HOST=40GiB LORETOKEN_CONTROL=$out/logs/control LORETOKEN_GUARD_PAUSE=20 \
    LORETOKEN_TELEMETRY=$out/logs/telemetry timeout $((end - SECONDS)) python3 "$here/programs/$name.py" $arguments > "$log" 2>&1
  status=$?
  kill $agent
  wait $agent 2>/dev/null
  counted=$("$build/bin/telemetry_dump" "$out/logs/telemetry")
  echo "$counted" > "$out/logs/$name-counters.json"
  if [ $status -ne 0 ]; then
    echo "$name: FAILED, exit $status: $(tail -1 "$log")"
  elif [ "$(field "$plain" hash)" = "$(field "$log" hash)" ]; then
    echo "$name: same, $(python3 -c 'import json,sys; c=json.loads(sys.argv[1]); print({k:c[k] for k in ("packs","forced_packs","unpacks","spills","fetches","verify_failures","checksum_failures") if k in c}, len(c.get("events",[])), "events kept")' "$counted")"
  else
    echo "$name: DIFFERS"
  fi
done
