#!/usr/bin/env bash
# The root of the `miniflux` image: Debian's miniflux, certificates to fetch feeds with, and time zones.
set -euo pipefail
arch=${1:?usage: miniflux ARCH ROOTFS} rootfs=${2:?usage: miniflux ARCH ROOTFS}
# dbconfig-no-thanks: the package would otherwise want to set up a database of its own.
"$(dirname "$0")/../../images/debian-root.sh" "$arch" "$rootfs" miniflux:1000:/var/lib/miniflux \
  miniflux,dbconfig-no-thanks,ca-certificates,tzdata
