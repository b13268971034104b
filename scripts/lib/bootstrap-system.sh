# Sourced by bootstrap.sh: what comes from the system's packages. Collects first, installs once.
packages=()

say() { printf 'bootstrap: %s\n' "$*"; }
die() { printf 'bootstrap: %s\n' "$*" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# at_least <wanted> <found>: both as 1.2.3
at_least() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; }

want_packages_base() {
  have make || packages+=(make)
  have git || packages+=(git)
}

want_packages_cxx() {
  if ! have g++; then packages+=(g++); fi
  if ! have cmake; then packages+=(cmake)
  elif ! at_least 3.22 "$(cmake --version | sed -n '1s/[^0-9]*\([0-9.]*\).*/\1/p')"; then
    die "CMake 3.22 or later is needed, found $(cmake --version | head -n 1); install a newer one and put it first in PATH"
  fi
  have ninja || packages+=(ninja-build)
}

want_packages_gtest() {
  compgen -G '/usr/lib/*/cmake/GTest/GTestConfig.cmake' >/dev/null ||
    compgen -G '/usr/lib*/cmake/GTest/GTestConfig.cmake' >/dev/null ||
    compgen -G '/usr/local/lib*/cmake/GTest/GTestConfig.cmake' >/dev/null || packages+=(libgtest-dev)
}

want_packages_format() { scripts/find-clang-format.sh >/dev/null 2>&1 || packages+=(clang-format-14); }

# What apt needs to be run by: nothing for root, sudo otherwise. Asks for a password only at a terminal.
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif have sudo && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then sudo "$@"
  else return 77; fi
}

install_packages() {
  [ ${#packages[@]} -gt 0 ] || return 0
  have apt-get || die "missing: ${packages[*]} (Debian names). There is no apt-get here: install them with your package manager"
  local status=0
  mkdir -p "$tools"
  say "installing with apt: ${packages[*]}"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get update -q >/dev/null || status=$?
  [ $status -ne 77 ] || die "neither root nor sudo. Have an administrator run: apt-get install ${packages[*]}"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${packages[@]}" >"$tools/apt.log" 2>&1 || {
    tail -n 20 "$tools/apt.log" >&2
    die "apt could not install: ${packages[*]}"
  }
  rm -f "$tools/apt.log"
  hash -r
}
