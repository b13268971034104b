#!/usr/bin/env bash
# Writes every generated file below the folder given, laid out as the repository.
set -euo pipefail
cd "$(dirname "$0")/.."
target=$(realpath "${1:?usage: scripts/generate.sh <folder>}")
node charts/scripts/generate.ts "$target"
node cli/scripts/generate-settings.ts "$target"
node scripts/generate-hooks-doc.ts "$target"
node device-plugin/scripts/generate-metrics.ts "$target"
node device-plugin/scripts/generate-reference.ts "$target"
node operator/scripts/generate-reference.ts "$target"
node lib/api/scripts/generate.ts "$target"
node lib/kubelet/scripts/generate.ts "$target"
