#!/usr/bin/env bash
# Succeeds where an NVIDIA driver's libcuda.so.1 and a device node are there. Starts nothing and touches no GPU.
ldconfig=$(command -v ldconfig || echo /sbin/ldconfig)
compgen -G '/dev/nvidia[0-9]*' >/dev/null || [ -e /dev/dxg ] || exit 1
"$ldconfig" -p 2>/dev/null | grep -q 'libcuda\.so\.1 ' && exit 0
IFS=: read -ra dirs <<<"${LD_LIBRARY_PATH:-}:/usr/lib/wsl/lib"
for dir in "${dirs[@]}"; do [ -n "$dir" ] && [ -e "$dir/libcuda.so.1" ] && exit 0; done
exit 1
