#!/usr/bin/env bash
# The root of the image `web`: one static program and its user. For a real service, put its files here in whatever
# way they come: from Debian's packages, from a build of your own, from `docker export`.
set -euo pipefail
arch=${1:?usage: web ARCH ROOTFS} rootfs=${2:?usage: web ARCH ROOTFS}
busybox=${BUSYBOX:-$(command -v busybox || true)}
if [ -z "$busybox" ] || ldd "$busybox" > /dev/null 2>&1; then
  echo "a static busybox is needed: apt-get install busybox-static, or say where one is with BUSYBOX=" >&2
  exit 1
fi
[ "$arch" = "$(uname -m)" ] || [ -n "${BUSYBOX:-}" ] || { echo "this machine's busybox is not for $arch: set BUSYBOX=" >&2; exit 1; }

partial=$rootfs.partial
rm -rf "$partial" "$rootfs"
mkdir -p "$partial"/{bin,etc,proc,dev,sys,run,tmp,data}
cp "$busybox" "$partial/bin/busybox"
printf '%s\n' 'root:x:0:0:root:/:/bin/sh' 'web:x:1000:1000:web:/:/bin/sh' > "$partial/etc/passwd"
printf '%s\n' 'root:x:0:' 'web:x:1000:' > "$partial/etc/group"
printf '%s' '{"workdir":"/","user":"web","entrypoint":["/bin/busybox","httpd","-f","-v"],"cmd":["-p","8080","-h","/data"]}' > "$rootfs.json"
printf '%s' 'PATH=/bin' > "$rootfs.env"
mv -T -- "$partial" "$rootfs"
