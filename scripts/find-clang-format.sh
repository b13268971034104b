#!/usr/bin/env bash
# Prints the clang-format to use: version 14, which is what Debian 12 and Ubuntu 22.04 have.
for candidate in clang-format-14 clang-format; do
  if path=$(command -v $candidate) && "$path" --version | grep -q 'version 14\.'; then
    echo "$path"
    exit 0
  fi
done
echo "clang-format 14 was not found; scripts/bootstrap.sh format installs it" >&2
exit 1
