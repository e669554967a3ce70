#!/usr/bin/env bash
# Builds VERSION of the test package ID into OUTDIR, laid out as `coppice s9pk pack` wants it. Its images are those of
# the examples, which are built in EXAMPLES. Bundles are taken from $COPPICE_CACHE while their sources are the same.
set -euo pipefail
shopt -s inherit_errexit nullglob
umask 022
usage='usage: build ID VERSION OUTDIR EXAMPLES'
id=${1:?$usage} version=${2:?$usage} out=$(realpath -m -- "${3:?$usage}") examples=$(realpath -- "${4:?$usage}")
arch=$(uname -m) cache=${COPPICE_CACHE:-$HOME/.cache/coppice}/examples
cd "$(dirname "$0")"
mkdir -p "$cache"

# One takes in parts of another, so all sources count.
key=$(find . ../../package-lock.json -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum | cut -c1-32)
bundle=$cache/bundle-$id-$key
if [ ! -d "$bundle" ]; then
  partial=$(mktemp -d "$bundle.XXXXXX")
  trap 'rm -rf "$partial"' EXIT
  chmod 755 "$partial"
  ../../node_modules/.bin/ncc build "$id/index.ts" --transpile-only --no-cache --quiet -o "$partial"
  # Where another build was quicker this fails, and its result, which is the same, is used.
  mv -T -- "$partial" "$bundle" || [ -d "$bundle" ]
fi

rm -rf "$out"
mkdir -p "$out/images/$arch"
cp icon.svg LICENSE.md instructions.md "$out"
cp -r "$bundle" "$out/javascript"
sed -i "s/@VERSION@/$version/" "$out/javascript/index.js"
for assets in "$id/assets"*; do cp -r "$assets" "$out"; done
while read -r image from; do
  for part in squashfs json env; do
    cp --reflink=auto "$examples/${from%/*}/images/$arch/${from#*/}.$part" "$out/images/$arch/$image.$part"
  done
done < "$id/images"
