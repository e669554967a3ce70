#!/bin/sh
# Becomes pid 1 of a test container: the same mounts a service's container has, without LXC.
# Runs as root of fresh user, pid, mount, cgroup, ipc and uts namespaces. Usage: enter.sh DIR
set -eu
dir=$1 at=$1/root
mount -t tmpfs -o mode=755 tmpfs "$at"
cp -a "$dir/layer/." "$at"
mkdir "$at/upper" "$at/work"
# Only /usr: a user namespace may not take a tree apart that has mounts of its owner below it.
mount -t overlay -o "userxattr,lowerdir=$dir/layer/usr:/usr,upperdir=$at/upper,workdir=$at/work" overlay "$at/usr"
for name in bin sbin lib lib64; do ln -s "usr/$name" "$at/$name"; done
mount --rbind /dev "$at/dev"
mount --rbind /sys "$at/sys"
mount -t proc proc "$at/proc"
mount --rbind "$dir/rpc" "$at/media/startos/rpc"
mount -o remount,bind,ro "$at/media/startos/rpc"
mount --bind "$dir/logs" "$at/media/coppice/logs"
mount --bind "$dir/image" "$at/media/image"
cd "$at"
pivot_root . .
umount -l .
cd /
exec /usr/bin/coppice-agent
