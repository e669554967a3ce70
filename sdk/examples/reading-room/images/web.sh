#!/usr/bin/env bash
# The root of the `web` image: Debian's lighttpd with its settings, and a page for when there is nothing to read.
set -euo pipefail
arch=${1:?usage: web ARCH ROOTFS} rootfs=${2:?usage: web ARCH ROOTFS}
"$(dirname "$0")/../../images/debian-root.sh" "$arch" "$rootfs" web:1000:/srv lighttpd

cd "$rootfs"
mkdir -p srv/www srv/none
cat > etc/reading-room.conf <<'CONF'
server.modules = ( "mod_rewrite" )
server.port = 8080
server.document-root = "/srv/www"
server.errorfile-prefix = "/srv/none/"
# Not `index-file.names`: a folder without one is answered with 403.
url.rewrite-once = ( "^/$" => "/index.html" )
mimetype.assign = ( ".html" => "text/html; charset=utf-8" )
CONF
cat > srv/none/404.html <<'PAGE'
<!doctype html>
<meta charset="utf-8">
<title>Reading Room</title>
<h1>There is nothing to read yet</h1>
<p>Whoever keeps the notes publishes them in TiddlyWiki, with “Publish notes”.</p>
PAGE
