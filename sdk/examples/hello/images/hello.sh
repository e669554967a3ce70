#!/usr/bin/env bash
# The root of the `hello` image: one static program and the names of its user. No Debian is needed for that.
set -euo pipefail
arch=${1:?usage: hello ARCH ROOTFS} rootfs=${2:?usage: hello ARCH ROOTFS}
case $arch in
  riscv64) target=riscv64gc-unknown-linux-gnu ;;
  *) target=$arch-unknown-linux-gnu ;;
esac

mkdir -p "$rootfs"/{etc,proc,dev,sys,run,tmp,data,usr/bin}
chmod 1777 "$rootfs/tmp"
rustc --edition 2024 --target "$target" -C target-feature=+crt-static -C opt-level=s -C panic=abort -C strip=symbols \
  -o "$rootfs/usr/bin/hello" "$(dirname "$0")/../server/main.rs"
printf '%s\n' 'root:x:0:0:root:/:/' 'hello:x:1000:1000:hello:/:/' > "$rootfs/etc/passwd"
printf '%s\n' 'root:x:0:' 'hello:x:1000:' > "$rootfs/etc/group"
