#!/usr/bin/env bash
# Builds the example NAME into OUTDIR, laid out as `coppice s9pk pack` wants it: javascript/, icon, LICENSE.md,
# instructions.md, images/$ARCH/<id>.{squashfs,json,env}. What has been built from the same sources is taken
# from $COPPICE_CACHE; remove that folder to get today's Debian packages. ARCH defaults to this machine's.
# Without PART both parts are built; images want root, the code does not.
set -euo pipefail
shopt -s inherit_errexit nullglob
umask 022 # modes end up in the images
usage='usage: build NAME OUTDIR [code|images]'
name=${1:?$usage} out=$(realpath -m -- "${2:?$usage}") part=${3:-code images}
arch=${ARCH:-$(uname -m)} cache=${COPPICE_CACHE:-$HOME/.cache/coppice}/examples
cd "$(dirname "$0")"
[ -d "$name/startos" ] || { echo "there is no example \`$name\`" >&2; exit 1; }
mkdir -p "$cache"

# cached KIND SOURCE...: prints the folder made from these sources, calling `build_KIND FOLDER` if it is missing.
cached() {
  key=$(find "${@:2}" -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum | cut -c1-32)
  dir=$cache/$1-$arch-$key
  if [ ! -d "$dir" ]; then
    partial=$(mktemp -d "$dir.XXXXXX")
    chmod 755 "$partial"
    trap 'rm -rf "$partial"' EXIT
    "build_$1" "$partial" >&2
    # Where another build was quicker this fails, and its result, which is the same, is used.
    mv -T -- "$partial" "$dir" || [ -d "$dir" ]
  fi
  echo "$dir"
}

build_javascript() {
  echo "$name: types and bundle"
  exec 9> "$cache/npm.lock"
  flock 9
  for project in ../coppice .; do (
    cd "$project"
    cmp -s package-lock.json node_modules/.installed || { npm ci --silent && cp package-lock.json node_modules/.installed; }
  ); done
  npm run --silent --prefix ../coppice build
  npm run --silent --workspace "$name" build
  cp -a "$name/javascript/." "$1"
}

build_image() {
  echo "$name: image $id for $arch"
  "$name/images/$id.sh" "$arch" "$1/root"
  images/squash.sh "$1/root" "$1/$id.squashfs"
  rm -rf "$1/root"
  cp "$name/images/$id.json" "$1"
  printf %s "$(cat "$name/images/$id.env")" > "$1/$id.env" # the format has no line end after the last line
}

case " $part " in *" code "*)
  mkdir -p "$out"
  rm -rf "$out/javascript"
  rm -rf "$out/icons" # of dependencies
  cp -r "$name"/{icon.svg,LICENSE.md,instructions.md} "$name"/icons* "$out"
  javascript=$(cached javascript package-lock.json ../coppice/{package-lock.json,src} ../../tsconfig.base.json "$name"/{startos,package.json,tsconfig.json})
  cp -a "$javascript" "$out/javascript" ;;
esac
case " $part " in *" images "*)
  rm -rf "$out/images"
  mkdir -p "$out/images/$arch"
  for recipe in "$name"/images/*.sh; do
    id=$(basename "$recipe" .sh)
    image=$(cached image images "$name/images/$id".* "$name"/server*)
    cp -a "$image/." "$out/images/$arch"
  done ;;
esac
