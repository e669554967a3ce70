# shellcheck shell=bash
# shellcheck disable=SC2154 # what test_vm.rs writes above this
# What the machine of `make test-vm` does. Lines that begin with `@@` are read by test_vm/outcome.rs.
exec > /dev/ttyS1 2>&1
stty -F /dev/ttyS1 raw
# Not on the small tmpfs: some tests want room.
export TMPDIR=/var/tmp
export PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8

# Bounds that say what a processor does in a time do not hold here.
export COPPICE_E2E_EMULATED=1

# In place of a compiler: the one program that a suite compiles was compiled before.
# shellcheck disable=SC2016 # the program's own argument
printf '#!/bin/bash\ncp /opt/init "${@: -2:1}"\n' > /opt/rustc
chmod +x /opt/rustc
export RUSTC=/opt/rustc

echo "@@ kernel $(uname -r)"
echo "@@ cgroups $(stat -f -c %T /sys/fs/cgroup) with $(cat /sys/fs/cgroup/cgroup.controllers)"
echo "@@ apparmor $(cat /sys/module/apparmor/parameters/enabled)"

# suite NAME FOLDER PROGRAM ARGUMENT...
suite() {
  local name=$1 began=$SECONDS
  echo "@@ begin $name"
  (cd "$CHECKOUT/$2" && timeout 2400 "${@:3}")
  echo "@@ end $name $? $((SECONDS - began))"
}

# until_true SECONDS COMMAND...: waits for it.
until_true() {
  local deadline=$((SECONDS + $1))
  until "${@:2}" > /dev/null 2>&1; do
    [ "$SECONDS" -lt "$deadline" ] || { echo "not true after $1 s: ${*:2}"; return 1; }
    sleep 1
  done
}
healthy() { coppice service list --json | grep -q '"status": *"running"'; }
hello_pids() { pgrep -f '^/usr/bin/hello' | sort | tr '\n' ' '; }

# Coppice as image/README.md installs it; its heart is killed, and the service does not notice.
unit_steps() {
  set -e
  install -D "$COPPICE" /usr/local/bin/coppice
  install -D -m 644 "$COPPICE_BASE_IMAGE" /usr/local/lib/coppice/base.squashfs
  install -D -m 644 "$CHECKOUT/image/systemd/coppice.service" /etc/systemd/system/coppice.service
  systemctl daemon-reload
  systemctl enable --now coppice
  echo 'a birch and an alder' | coppice auth set-password
  coppice package install "$COPPICE_EXAMPLES/hello.s9pk"
  coppice service start hello
  until_true 180 healthy
  before=$(hello_pids)
  [ -n "$before" ]
  heart=$(systemctl show --property MainPID --value coppice)
  kill -KILL "$heart"
  until_true 60 systemctl is-active --quiet coppice
  [ "$(systemctl show --property MainPID --value coppice)" != "$heart" ]
  until_true 60 healthy
  [ "$(hello_pids)" = "$before" ]
  systemctl stop coppice
  [ "$(hello_pids)" = "$before" ]
  systemctl start coppice
  until_true 60 healthy
  [ "$(hello_pids)" = "$before" ]
  coppice stop
  until_true 60 test -z "$(hello_pids)"
}
unit() {
  local began=$SECONDS
  echo "@@ begin unit"
  (unit_steps)
  local status=$?
  [ "$status" = 0 ] || journalctl --no-pager --unit coppice | tail -n 100
  echo "@@ end unit $status $((SECONDS - began))"
}

finish() {
  echo "@@ finished"
  sync
  systemctl poweroff --force
}

