#!/usr/bin/env bash
# Process 1 of the node's namespaces: makes the mounts that kubelet and containerd expect, none of which the machine sees, and
# becomes the command given. Started by node.sh, which exports what is used here.
#   inside.sh <command…>
set -euo pipefail
root=$NODE_ROOT bin=$NODE_BIN
mount --make-rshared /
rm -rf "$root"
mkdir -p "$root"

# containerd needs a file system that overlays can lie on, which an overlay itself is not.
mkdir -p "$root"/try/{lower,upper,work,mount}
if mount -t overlay try -o "lowerdir=$root/try/lower,upperdir=$root/try/upper,workdir=$root/try/work" "$root/try/mount" 2>/dev/null; then
  umount "$root/try/mount"
else
  mount -t tmpfs -o mode=755 node "$root"
  echo "the node's files are in memory: $(df -h "$root" | tail -1)"
fi
rm -rf "$root/try"
mkdir -p "$root"/{lib,log,sysctl}
mount --bind "$root/lib" /var/lib # the kubelet's fixed paths
mount --bind "$root/log" /var/log
mount -t tmpfs run /run

# The kubelet writes these; the machine keeps its own.
for key in vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops kernel/keys/root_maxkeys kernel/keys/root_maxbytes; do
  [ -e "/proc/sys/$key" ] || continue
  copy=$root/sysctl/${key//\//.}
  cat "/proc/sys/$key" > "$copy"
  mount --bind "$copy" "/proc/sys/$key"
done

# The node's address; pods are in this network too, so nothing more is needed.
"$bin/busybox" ip link set lo up
"$bin/busybox" ip addr add 10.88.0.1/32 dev lo 2>/dev/null || true

# In the place of a card's device nodes: some that do nothing, in a /dev of the node's own.
if [ "$NODE_GPU" = sim ]; then
  mkdir "$root/dev"
  mount -t tmpfs -o mode=755 dev "$root/dev"
  for entry in /dev/*; do
    case $entry in /dev/nvidia*) continue ;; esac
    cp -a "$entry" "$root/dev/" 2>/dev/null || true
  done
  for name in pts shm mqueue; do
    [ -d "/dev/$name" ] || continue
    mkdir -p "$root/dev/$name"
    mount --rbind "/dev/$name" "$root/dev/$name"
  done
  for name in nvidia0 nvidiactl nvidia-uvm; do mknod -m 666 "$root/dev/$name" c 1 3; done
  mount --rbind "$root/dev" /dev
fi

echo "node: $(uname -r), $(stat -fc %T /sys/fs/cgroup) $(cat /sys/fs/cgroup/cgroup.controllers 2>/dev/null || true), $(ls /dev/nvidia* | tr '\n' ' ')"
export PATH=$bin:$PATH
exec "$@"
