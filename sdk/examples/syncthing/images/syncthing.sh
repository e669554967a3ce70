#!/usr/bin/env bash
# The root of the `syncthing` image: Debian's syncthing and the certificates it finds its relays with.
set -euo pipefail
arch=${1:?usage: syncthing ARCH ROOTFS} rootfs=${2:?usage: syncthing ARCH ROOTFS}
"$(dirname "$0")/../../images/debian-root.sh" "$arch" "$rootfs" syncthing:1000:/var/lib/syncthing \
  syncthing,ca-certificates,tzdata
