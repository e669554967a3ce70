#!/usr/bin/env bash
# The root of the `wiki` image: Debian's Node, and the npm package `tiddlywiki` as `wiki.npm` pins it, by checksum.
# It needs nothing compiled, so any ARCH can be made on any machine.
set -euo pipefail
arch=${1:?usage: wiki ARCH ROOTFS} rootfs=${2:?usage: wiki ARCH ROOTFS}
here=$(cd "$(dirname "$0")" && pwd)
"$here/../../images/debian-root.sh" "$arch" "$rootfs" wiki:1000:/var/lib/wiki nodejs

wiki=$rootfs/usr/lib/tiddlywiki
mkdir -p "$wiki"
cp "$here"/wiki.npm/* "$wiki"
npm ci --prefix "$wiki" --omit=dev --ignore-scripts --no-audit --no-fund --silent
# The example wikis are most of it, and the list of what npm has installed says where it came from.
rm -rf "$wiki/node_modules/tiddlywiki/editions" "$wiki/node_modules/.package-lock.json"
ln -s ../lib/tiddlywiki/node_modules/.bin/tiddlywiki "$rootfs/usr/bin/tiddlywiki"
