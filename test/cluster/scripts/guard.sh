#!/usr/bin/env bash
# Holds a node's namespaces from outside: makes its cgroups, starts namespaces.sh as process 1 of namespaces of its own, and
# when that ends removes the cgroups and the folder. It ends when standard input closes: the test is over, or it died.
#   guard.sh <name> <folder>        the name is loretoken-cluster-<pid of the test>-<number>; prints `process <pid>` (process 1 as seen from outside), then what namespaces.sh prints
set -euo pipefail
name=$1 folder=$2
here=$(dirname "$(realpath "$0")")

# Folders of the node's cgroup, one per hierarchy (one in all with cgroup v2), at the root of each mount.
groups=()
while read -r _ point type _; do
  case $type in
    cgroup | cgroup2) groups+=("$point/$name") ;;
  esac
done < /proc/self/mounts

# remove <group…>: with all below, as far as no process is left inside.
remove() { find "$@" -depth -type d -exec rmdir {} + 2>/dev/null || true; }

# Those of tests that were killed together with their guard; the name tells the pid of the test.
for group in "${groups[@]}"; do
  for stale in "$(dirname "$group")"/loretoken-cluster-*; do
    owner=${stale##*loretoken-cluster-}
    [ ! -d "$stale" ] || kill -0 "${owner%%-*}" 2>/dev/null || remove "$stale"
  done
done

for group in "${groups[@]}"; do
  if [ -e "$(dirname "$group")/cgroup.controllers" ]; then
    for controller in $(cat "$(dirname "$group")/cgroup.controllers"); do
      echo "+$controller" > "$(dirname "$group")/cgroup.subtree_control" 2>/dev/null || true
    done
  fi
  mkdir -p "$group"
  # A new cpuset is empty, and nothing can enter an empty one.
  for file in cpuset.cpus cpuset.mems; do
    if [ -e "$group/$file" ] && [ -e "$(dirname "$group")/cgroup.clone_children" ]; then
      cat "$(dirname "$group")/$file" > "$group/$file"
    fi
  done
done

# The cgroup is the root of the cgroup namespace. Version 2 hands controllers down only from a cgroup without processes, so
# there its own are in `init`.
for group in "${groups[@]}"; do
  if [ -e "$group/cgroup.controllers" ]; then mkdir -p "$group/init"; fi
done
start() {
  local group
  for group in "$@"; do
    if [ -d "$group/init" ]; then echo $$ > "$group/init/cgroup.procs"; fi
  done
  exec setpriv --pdeathsig KILL unshare --net --mount --pid --uts --ipc --fork --kill-child=KILL --mount-proc \
    --propagation private bash "$here/namespaces.sh" "$folder"
}
export -f start
export here folder
(
  for group in "${groups[@]}"; do echo "$BASHPID" > "$group/cgroup.procs"; done
  exec setpriv --pdeathsig KILL unshare --cgroup bash -c 'start "$@"' start "${groups[@]}" <&0
) <&0 &
unshare=$!
first=
while [ -z "$first" ] && kill -0 $unshare 2>/dev/null; do
  first=$(tr -d ' ' < "/proc/$unshare/task/$unshare/children" 2>/dev/null) || true
  sleep 0.01
done
echo "process $first"
status=0
wait $unshare || status=$?
# What was inside is being ended by the kernel; a cgroup can be removed when the last process of it is gone.
for _ in $(seq 100); do
  remove "${groups[@]}"
  left=0
  for group in "${groups[@]}"; do [ ! -e "$group" ] || left=1; done
  [ $left = 1 ] || break
  sleep 0.1
done
[ -e "$folder/keep" ] || rm -rf "$folder"
exit $status
