#!/usr/bin/env bash
# The root of the `postgres` image: Debian's PostgreSQL 17 without its compiler.
set -euo pipefail
arch=${1:?usage: postgres ARCH ROOTFS} rootfs=${2:?usage: postgres ARCH ROOTFS}
"$(dirname "$0")/../../images/debian-root.sh" "$arch" "$rootfs" postgres:999:/var/lib/postgresql postgresql-17

# Just-in-time compilation (LLVM) is two thirds of the package and serves long analytical queries only;
# without its library PostgreSQL runs with it off.
cd "$rootfs"
rm -rf usr/lib/*/lib{LLVM,z3}* usr/lib/llvm* usr/lib/postgresql/17/lib/{bitcode,llvmjit*}

# Where the server puts its socket.
mkdir -p run/postgresql
chown 999:999 run/postgresql
