#!/usr/bin/env bash
# Packs what node.sh needs on a machine without network, as parts of a size that can be carried: build/hardware/node/part1,
# part2, part3. A part whose content is the same as before is left as it is. The cluster's programs come from where the cluster tests have them (built if need be), runc, busybox and libseccomp from the
# system (scripts/bootstrap.sh cluster).
#   pack-node.sh [--no-xz]    --no-xz leaves the parts out: build/hardware/node/unpacked alone, for a rehearsal here
set -euo pipefail
cd "$(dirname "$0")/../.."
target=build/hardware/node
stage=$target/unpacked
rm -rf "$stage"
mkdir -p "$stage"/{bin,lib,run}

scripts/bootstrap.sh cluster
# `name path` per program; several names of one program are links to it.
node test/cluster/src/binaries/main.ts | while read -r name file; do
  real=$(readlink -f "$file")
  case $(basename "$real") in
    "$name") cp "$real" "$stage/bin/" ;;
    *)
      [ -e "$stage/bin/$(basename "$real")" ] || cp "$real" "$stage/bin/"
      ln -s "$(basename "$real")" "$stage/bin/$name"
      ;;
  esac
done
cp "$(readlink -f "$(command -v node)")" "$stage/bin/node"
cp "$(command -v busybox || echo /bin/busybox)" "$stage/bin/busybox"
cp -L "$(ldd "$stage/bin/runc" | awk '/libseccomp/{print $3}')" "$stage/lib/libseccomp.so.2"
strip "$stage/bin/node" "$stage/bin/runc" 2> /dev/null || true

node device-plugin/scripts/bundle.ts "$stage/agent"
node bench/hardware/node/bundle.ts "$stage/run"
ln -s ../agent/node_modules "$stage/run/node_modules"
du -sh "$stage"/bin/* | grep -v "^0" | sort -h
[ "${1:-}" != --no-xz ] || exit 0

# pack <part> <path…>: a solid archive with the filter for x86 code
pack() {
  local part=$1 content
  shift
  content=$(cd "$stage" && find "$@" \( -type f -exec sha256sum {} + \) -o \( -type l -printf '%p %l\n' \) | sort | sha256sum)
  mkdir -p "$target/$part"
  if [ ! -e "$target/$part/files.tar.xz" ] || [ "$(cat "$target/$part/content" 2> /dev/null)" != "$content" ]; then
    tar cf - --owner=0 --group=0 -C "$stage" "$@" | xz --x86 --lzma2=preset=9e,dict=128MiB > "$target/$part/files.tar.xz"
    echo "$content" > "$target/$part/content"
  fi
  ls -l "$target/$part/files.tar.xz"
}
links() { find "$stage/bin" -type l -lname "$1" -printf 'bin/%f\n' | sort; }
mapfile -t control < <(links control-parts)
mapfile -t node < <(links node-parts)
pack part1 bin/control-parts "${control[@]}" bin/containerd bin/containerd-shim-runc-v2 bin/ctr
pack part2 bin/node-parts "${node[@]}" bin/node
pack part3 agent run bin/runc bin/busybox lib
