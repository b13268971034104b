# Sourced by bootstrap.sh: what the test cluster (docs/cluster-tests.md) takes from the system. Kubernetes, etcd and
# containerd are built from Go modules by the tests themselves, once, where the machine has none that fits.
go_minimum=1.26

want_packages_cluster() {
  PATH=$PATH:/usr/sbin:/sbin have runc || packages+=(runc)
  PATH=$PATH:/usr/sbin:/sbin have nft || packages+=(nftables)
  PATH=$PATH:/usr/sbin:/sbin have ip || packages+=(iproute2)
  have busybox && file_is_static "$(command -v busybox)" || packages+=(busybox-static)
  [ -x /usr/lib/cni/bridge ] || [ -x /opt/cni/bin/bridge ] || [ -x /usr/libexec/cni/bridge ] ||
    packages+=(containernetworking-plugins)
}

# Images that hold nothing else need a busybox that needs nothing else.
file_is_static() { ! ldd "$1" >/dev/null 2>&1; }

# Not installed: Go comes from wherever its user has it from. Without it the programs must be there already.
say_go() {
  local found=none
  if have go; then found=$(go env GOVERSION | sed 's/^go//'); fi
  if [ "$found" = none ] || ! at_least $go_minimum "$found"; then
    say "Go $go_minimum or later builds Kubernetes for the test cluster; found: $found. Install it from https://go.dev/dl and put it in" \
      "PATH, or put kube-apiserver, etcd, … $(sed -n 's/.*KUBERNETES_VERSION = "\([0-9]*\.[0-9]*\).*/\1/p' test/cluster/src/binaries/catalog.ts) in KUBEBUILDER_ASSETS"
  fi
}
