#!/usr/bin/env bash
# Installs what the build needs and the machine lacks, and says what. Usage: scripts/bootstrap.sh [group…]
#
#   base          make, git
#   cxx           g++ 11 or later, CMake 3.22 or later, Ninja
#   gtest         GoogleTest
#   format        clang-format 14 (other versions format differently)
#   cuda-headers  cuda.h of CUDA 13.0: the system's, else from PyPI into .toolchain/cuda
#   nvcc          nvcc 12.8 or later: the system's, else 13.0 from PyPI into .toolchain/cuda
#   cluster       runc, CNI plugins, nftables, iproute2, busybox for the test cluster; says if Go 1.26 is missing
#   node          Node 24 or later with npm: the system's, else from npm into .toolchain/node
#
# No group: all of them but `cluster`, nvcc only where there is a GPU. Nothing missing: nothing is touched, in well under a second.
# System packages come from apt, which needs root or sudo; everything else stays inside .toolchain.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
tools=$root/.toolchain
. scripts/lib/bootstrap-system.sh
. scripts/lib/bootstrap-cuda.sh
. scripts/lib/bootstrap-node.sh
. scripts/lib/bootstrap-cluster.sh

groups=("$@")
if [ ${#groups[@]} -eq 0 ]; then
  groups=(base cxx gtest format cuda-headers node)
  if scripts/has-gpu.sh; then groups+=(nvcc); fi
fi

for group in "${groups[@]}"; do
  case $group in
    base) want_packages_base ;;
    cxx) want_packages_cxx ;;
    gtest) want_packages_gtest ;;
    format) want_packages_format ;;
    cuda-headers) want_packages_cuda have_headers ;;
    nvcc) want_packages_cuda have_nvcc ;;
    node) want_packages_node ;;
    cluster) want_packages_cluster ;;
    *) die "unknown group '$group'; groups are: base cxx gtest format cuda-headers nvcc node cluster" ;;
  esac
done
install_packages

for group in "${groups[@]}"; do
  case $group in
    cuda-headers) install_headers ;;
    nvcc) install_nvcc ;;
    node) install_node ;;
    cluster) say_go ;;
  esac
done
