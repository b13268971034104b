#!/usr/bin/env bash
# Whether this machine can be a node, said before all parts are there: process 1 of the namespaces in the place of main.js. Prints
# a line each and ends with 0 if a container runs. Started by inside.sh.
set -uo pipefail
root=$NODE_ROOT bin=$NODE_BIN
export PATH=$bin:$PATH
say() { printf '  %-22s %s\n' "$1" "$2"; }

for program in etcd kube-apiserver containerd runc; do say "$program" "$("$bin/$program" --version 2>&1 | head -1)"; done
say addresses "$("$bin/busybox" ip -o addr show dev lo 2>&1 | awk '{print $4}' | tr '\n' ' ')"
say "system call filters" "$(grep Seccomp: /proc/self/status)"
say "this cgroup" "$(tr '\n' ' ' < /proc/self/cgroup)"
say "root file system" "$(stat -fc %T /), node's files: $(stat -fc %T "$root")"
say devices "$(stat -c '%n %t:%T %a' /dev/nvidia* 2>&1 | tr '\n' ' ')"

# A container as small as one can be, with limits and a filter for devices.
mkdir -p "$root/check/rootfs/bin"
cp "$bin/busybox" "$root/check/rootfs/bin/"
cd "$root/check" || exit 1
runc spec
sed -i 's/"terminal": true/"terminal": false/; s/"sh"$/"\/bin\/busybox", "echo", "a container runs"/' config.json
ran=$(runc --root "$root/runc" run loretoken-check 2>&1)
say runc "$ran"
[ "$ran" = "a container runs" ]
