#!/usr/bin/env bash
# Runs a command inside a node's namespaces and cgroups: enter.sh <name> <pid of its process 1> <command…>
# The command is the only child; it ends with the node, whatever becomes of this script.
set -euo pipefail
name=$1 first=$2
shift 2
while read -r _ point type _; do
  case $type in cgroup | cgroup2) ;; *) continue ;; esac
  group=$point/$name
  if [ -d "$group/init" ]; then group=$group/init; fi
  echo $$ > "$group/cgroup.procs"
done < /proc/self/mounts
exec nsenter --target "$first" --mount --net --pid --uts --ipc --cgroup -- "$@"
