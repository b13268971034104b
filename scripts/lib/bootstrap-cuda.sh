# Sourced by bootstrap.sh: CUDA headers and nvcc. Neither needs a GPU or a driver.
# The shim's hook table lists every call of one header version, so the headers are 13.0, no other.
cuda_series=13.0
cuda_venv=$tools/cuda

system_cuda_dirs() { printf '%s\n' ${CUDA_HOME:+"$CUDA_HOME"} ${CUDA_PATH:+"$CUDA_PATH"} /usr/local/cuda /usr/local/cuda-13.0 /usr/local/cuda-13 /usr; }

have_headers() {
  local dir
  [ ! -e "$cuda_venv/.headers-$cuda_series" ] || return 0
  while read -r dir; do
    if grep -q '^#define CUDA_VERSION 1300[0-9]' "$dir/include/cuda.h" 2>/dev/null; then return 0; fi
  done < <(system_cuda_dirs)
  return 1
}

have_nvcc() {
  local dir nvcc
  [ ! -e "$cuda_venv/.nvcc-$cuda_series" ] || return 0
  while read -r dir; do
    nvcc=$dir/bin/nvcc
    if [ -x "$nvcc" ] && at_least 12.8 "$("$nvcc" --version | sed -n 's/.*release \([0-9.]*\),.*/\1/p')"; then return 0; fi
  done < <(system_cuda_dirs)
  return 1
}

# Python is needed only when there is something to fetch. $1: have_headers or have_nvcc.
want_packages_cuda() {
  if $1; then return 0; fi
  if ! have python3; then packages+=(python3 python3-venv)
  elif ! python3 -c 'import ensurepip, venv' 2>/dev/null; then packages+=(python3-venv); fi
}

# pip_cuda <stamp> <package…>: into the private venv; the stamp is written last, so a broken install is repeated.
pip_cuda() {
  local stamp=$cuda_venv/.$1-$cuda_series
  shift
  say "installing from PyPI into .toolchain/cuda: $* ($cuda_series)"
  [ -x "$cuda_venv/bin/python" ] || python3 -m venv "$cuda_venv"
  "$cuda_venv/bin/python" -m pip install --quiet --disable-pip-version-check "${@/%/==$cuda_series.*}"
  touch "$stamp"
}

install_headers() { have_headers || pip_cuda headers nvidia-cuda-runtime nvidia-cuda-crt; }
install_nvcc() {
  have_nvcc || pip_cuda nvcc nvidia-cuda-nvcc nvidia-cuda-crt nvidia-cuda-runtime nvidia-nvvm nvidia-cuda-cccl
}
