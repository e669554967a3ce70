#!/usr/bin/env bash
# Unpacks Debian 13 packages, with what they depend on, into ROOTFS and adds one user for the service.
# Nothing is configured or run (`--variant=extract`), so any ARCH can be made on any machine, without root
# programs of a foreign architecture. What a service never reads is removed; copyright files stay.
set -euo pipefail
usage='usage: debian-root ARCH ROOTFS USER:UID:HOME PACKAGE[,PACKAGE...]'
arch=${1:?$usage} rootfs=${2:?$usage} user=${3:?$usage} packages=${4:?$usage}

case $arch in
  x86_64) deb_arch=amd64 ;;
  aarch64) deb_arch=arm64 ;;
  riscv64) deb_arch=riscv64 ;;
  *) echo "no Debian name is known for architecture \`$arch\`" >&2; exit 1 ;;
esac

# The mirror and proxy that this machine's own apt uses; the public one where apt names none.
site() { apt-get indextargets --format "\$(SITE)" 'Created-By: Packages' | grep -m1 -E "/$1/?\$" || echo "http://deb.debian.org/$1"; }
proxy=$(apt-config shell proxy Acquire::http::Proxy | sed "s/^proxy='\(.*\)'\$/\1/")
# A mirror may be a snapshot whose Release file has run out; its signature is still checked.
mmdebstrap --quiet --variant=extract --architectures="$deb_arch" --skip=chroot/mount,output/dev,check/qemu \
  --aptopt='Acquire::Check-Valid-Until "false"' --aptopt="Acquire::http::Proxy \"$proxy\"" \
  --include="base-files,dash,coreutils,$packages" trixie "$rootfs" \
  "deb $(site debian) trixie main" "deb $(site debian) trixie-updates main" \
  "deb $(site debian-security) trixie-security main"

cd "$rootfs"
find usr/share/doc -not -type d -not -name copyright -delete
rm -rf usr/share/{man,locale,info,lintian,perl,perl5,bash-completion,i18n} usr/lib/*/{perl,perl-base,gconv} usr/bin/perl* \
  etc/{perl,apt} var/cache/* var/lib/{apt,dpkg} var/log/* dev/*
rm -f etc/{hostname,resolv.conf} # copies of this machine's
find . -xdev -perm /6000 -exec chmod ug-s {} + # nobody becomes root by a program in here
# What configuring `base-files`, `tzdata` and `ca-certificates` would have made.
rm -rf var/run
ln -s /run var/run
[ ! -d usr/share/zoneinfo ] || ln -sf /usr/share/zoneinfo/Etc/UTC etc/localtime
[ ! -d usr/share/ca-certificates ] || cat usr/share/ca-certificates/mozilla/*.crt > etc/ssl/certs/ca-certificates.crt

IFS=: read -r name uid home <<< "$user"
printf '%s\n' "root:x:0:0:root:/root:/bin/sh" "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin" \
  "$name:x:$uid:$uid:$name:$home:/bin/sh" > etc/passwd
printf '%s\n' "root:x:0:" "nogroup:x:65534:" "$name:x:$uid:" > etc/group
mkdir -p ".$home"
chown "$uid:$uid" ".$home"
