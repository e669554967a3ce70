# shellcheck shell=bash
# shellcheck disable=SC2154 # what ready.sh sets
# Sourced by ready.sh. Uses the Node that is there if it is new enough, else the one that npm distributes.
node=20.19 node_home=$COPPICE_CACHE/node
node_is_ready() { at_least "v$node" "$(node --version 2> /dev/null)"; }

if ! node_is_ready && [ -x "$node_home/bin/node" ]; then PATH=$node_home/bin:$PATH; fi
if ! node_is_ready; then
  echo "Node $node or newer is needed, here is: $(node --version 2> /dev/null || echo none). Trying npm's ..."
  case $(uname -m) in x86_64) arch=x64 ;; aarch64) arch=arm64 ;; *) arch=none ;; esac
  npm install --silent --no-save --prefix "$node_home.new" "node-linux-$arch@^$node" \
    && rm -rf "$node_home" && mv "$node_home.new/node_modules/node-linux-$arch" "$node_home" && rm -rf "$node_home.new"
  PATH=$node_home/bin:$PATH
  hash -r
fi
node_is_ready || {
  echo "Node $node or newer is needed, and could not be installed. Install it, then run \`make $verb\` again:" >&2
  echo "    npm install --global node@20" >&2
  exit 1
}
export PATH
