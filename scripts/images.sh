#!/usr/bin/env bash
# Builds the images of agent and operator with docker, podman or buildah, whichever is there and works.
#   IMAGE_PREFIX=registry.example:5000/loretoken   beginning of their names; loretoken if not set
#   IMAGE_TAG=1.2.3                                the chart's appVersion if not set
#   PLATFORM=linux/amd64                           the machine's if not set
# Without any of the three: scripts/images.sh --archive writes OCI archives to build/images from what make build has made.
set -euo pipefail
cd "$(dirname "$0")/.."
prefix=${IMAGE_PREFIX:-loretoken}
tag=${IMAGE_TAG:-$(sed -n 's/^appVersion: *//p' charts/loretoken/Chart.yaml)}
names=(agent)
if [ -f operator/package.json ]; then names+=(operator); fi

works() { command -v "$1" >/dev/null && "$1" info >/dev/null 2>&1; }

if [ "${1:-}" = --archive ]; then
  mkdir -p build/images
  for name in "${names[@]}"; do
    node images/write-archive.ts "$name" "$prefix/$name:$tag" "build/images/$name.tar"
  done
  exit 0
fi

for tool in docker podman buildah; do
  works $tool || continue
  for name in "${names[@]}"; do
    $tool build ${PLATFORM:+--platform "$PLATFORM"} --file "images/$name/Containerfile" --tag "$prefix/$name:$tag" .
  done
  echo "images: $(printf "$prefix/%s:$tag " "${names[@]}")by $tool; push them to where your nodes pull from"
  exit 0
done
echo "images: none of docker, podman, buildah is there and answers (docker needs its daemon)." >&2
echo "images: install one, or run make build and then scripts/images.sh --archive, which writes OCI archives without any." >&2
exit 1
