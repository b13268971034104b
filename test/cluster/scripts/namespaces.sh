#!/usr/bin/env bash
# Process 1 of a node: makes the mounts, the cgroup tree and the network that kubelet and containerd expect, none of which the
# machine sees, prints `ready`, and reaps until standard input closes. Everything inside ends with it.
#   namespaces.sh <folder>
set -euo pipefail
folder=$1
mkdir -p "$folder"/{lib,log,sysctl,mnt}
hostname node1
mount --make-rshared /
mount --bind "$folder/lib" /var/lib # the kubelet's fixed paths
mount --bind "$folder/log" /var/log
mount -t tmpfs run /run

# The kubelet writes these; the machine keeps its own.
for key in vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops kernel/keys/root_maxkeys kernel/keys/root_maxbytes; do
  copy=$folder/sysctl/${key//\//.}
  cat "/proc/sys/$key" > "$copy"
  mount --bind "$copy" "/proc/sys/$key"
done

mount_cgroups() {
  local id controllers path point
  mount -t sysfs sysfs /sys
  if [ "$(stat -fc %T "$folder/mnt/cgroup")" = cgroup2fs ]; then
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
    for controllers in $(cat /sys/fs/cgroup/cgroup.controllers); do
      echo "+$controllers" > /sys/fs/cgroup/cgroup.subtree_control
    done
    return
  fi
  mount -t tmpfs -o mode=755 cgroup /sys/fs/cgroup
  while IFS=: read -r id controllers path; do
    [ -n "$controllers" ] || continue # the unified hierarchy beside v1
    point=/sys/fs/cgroup/${controllers#name=}
    mkdir -p "$point"
    mount -t cgroup -o "$controllers" cgroup "$point"
    for part in ${controllers//,/ }; do
      [ -e "/sys/fs/cgroup/$part" ] || case $part in name=*) ;; *) ln -s "$controllers" "/sys/fs/cgroup/$part" ;; esac
    done
  done < /proc/self/cgroup
}
mkdir -p "$folder/mnt/cgroup"
mount --rbind /sys/fs/cgroup "$folder/mnt/cgroup"
mount_cgroups
umount -l "$folder/mnt/cgroup"

ip link set lo up
ip link add cni0 type bridge
ip addr add 10.88.0.1/16 dev cni0
ip link set cni0 up
ip link add keep0 type veth peer name keep1 # a bridge without a port has no carrier
ip link set keep1 master cni0
ip link set keep0 up
ip link set keep1 up
ip route add default via 10.88.255.254 dev cni0
echo 1 > /proc/sys/net/ipv4/ip_forward

echo ready
while read -r _; do :; done
