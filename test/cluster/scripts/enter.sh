#!/usr/bin/env bash
# Runs a command inside a node's namespaces and cgroups: enter.sh <name> <pid of its process 1> <command…>
# The command is the only child; it ends with the node, whatever becomes of this script.
set -euo pipefail
name=$1 first=$2
shift 2
while read -r _ point type _; do
  case $type in
    cgroup2) if [ -d "$point/$name/init" ]; then echo $$ > "$point/$name/init/cgroup.procs"; else echo $$ > "$point/$name/cgroup.procs"; fi ;;
    cgroup) echo $$ > "$point/$name/cgroup.procs" ;;
  esac
done < /proc/self/mounts
exec nsenter --target "$first" --mount --net --pid --uts --ipc --cgroup -- "$@"
