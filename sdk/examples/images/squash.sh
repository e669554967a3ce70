#!/usr/bin/env bash
# Packs ROOTFS into a squashfs IMAGE; the same tree gives the same bytes. IMAGE appears only when complete.
set -euo pipefail
rootfs=${1:?usage: squash ROOTFS IMAGE} image=${2:?usage: squash ROOTFS IMAGE}
unset SOURCE_DATE_EPOCH # mksquashfs refuses it beside the fixed times below
mksquashfs "$rootfs" "$image.partial" -noappend -comp zstd -all-time 0 -mkfs-time 0 -quiet -no-progress
mv -- "$image.partial" "$image"
