#!/usr/bin/env bash
# Makes this machine ready, then runs `xtask VERB ARGUMENT...`. Where everything is there, it only looks.
# Building is done as the user who calls; what needs root (containers, images) is done through sudo.
set -euo pipefail
verb=${1:?usage: ready VERB [ARGUMENT...]}
cd "$(dirname "$0")/.."

export COPPICE_CACHE=${COPPICE_CACHE:-$HOME/.cache/coppice}
# Outside the checkout: it grows to gigabytes, and several checkouts share it.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$COPPICE_CACHE/target}
mkdir -p "$COPPICE_CACHE"
as_root=()
[ "$(id -u)" = 0 ] || as_root=(sudo env "PATH=$PATH" "HOME=$HOME")

# at_least WANTED HAVE: whether version HAVE is WANTED or newer.
at_least() { printf '%s\n' "$1" "${2:-0}" | sort -V -C; }
# shellcheck source=setup/debian.sh
. setup/debian.sh
# shellcheck source=setup/rust.sh
. setup/rust.sh
# shellcheck source=setup/node.sh
. setup/node.sh

[ -x "$CARGO_TARGET_DIR/debug/xtask" ] || echo "Building xtask, which does the rest ..."
cargo build --quiet --package xtask
case $verb in
  check | gen) as_root=() ;; # these only read and write the checkout
  *) [ "$(id -u)" = 0 ] || as_root+=("PATH=$PATH" "COPPICE_CACHE=$COPPICE_CACHE" "CARGO_TARGET_DIR=$CARGO_TARGET_DIR") ;;
esac
exec "${as_root[@]}" "$CARGO_TARGET_DIR/debug/xtask" "$@"
