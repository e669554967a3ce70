#!/usr/bin/env bash
# Holds a test container: it ends, with its cgroups, when our stdin closes, however the test ended.
# Usage: hold.sh DIR BASE, with the cgroup directories to use in $CGROUPS. Exits as the agent did.
set -u
dir=$1 base=$2
exec 3<&0 </dev/null
unshare --user sleep infinity 3<&- &
holder=$!
# The holder's namespace is ready when its link differs from ours.
while [ "$(readlink "/proc/$holder/ns/user")" = "$(readlink /proc/self/ns/user)" ]; do sleep 0.01; done
echo "0 $base 65536" >"/proc/$holder/uid_map"
echo "0 $base 65536" >"/proc/$holder/gid_map"
for cgroup in ${CGROUPS:-}; do
  mkdir -p "$cgroup/ns"
  for each in "$cgroup" "$cgroup/ns"; do
    if [ -e "$each/cpuset.cpus" ]; then
      cat "$each/../cpuset.cpus" >"$each/cpuset.cpus"
      cat "$each/../cpuset.mems" >"$each/cpuset.mems"
    fi
  done
  chown -R "$base:$base" "$cgroup/ns"
done
(
  for cgroup in ${CGROUPS:-}; do echo "$BASHPID" >"$cgroup/ns/cgroup.procs"; done
  exec nsenter --user="/proc/$holder/ns/user" -S 0 -G 0 \
    unshare --pid --fork --kill-child --mount --cgroup --ipc --uts --propagation private \
    /bin/sh "$dir/enter.sh" "$dir" 3<&-
) &
agent=$!
cat <&3 >/dev/null &
lifeline=$!
wait -n -p ended "$agent" "$lifeline"
status=$?
exec 2>/dev/null # The shell names those it kills.
[ "$ended" = "$agent" ] || kill -9 "$agent"
kill "$lifeline" "$holder"
wait
for cgroup in ${CGROUPS:-}; do
  # The last member may still be on its way out.
  for _ in $(seq 100); do
    find "$cgroup" -depth -type d -exec rmdir {} +
    [ -e "$cgroup" ] || break
    sleep 0.02
  done
done
exit "$status"
