# shellcheck shell=bash
# shellcheck disable=SC2154 # what ready.sh sets
# Sourced by ready.sh. Installs the Debian packages that are missing; asks nothing of the network otherwise.
lists=(setup/packages-run)
case $verb in test | test-* | check | bench | chaos) lists+=(setup/packages-test) ;; esac
[ "$verb" != test-vm ] || lists+=(setup/packages-vm)
# npm's packages take the place of a Node that Debian does not have new enough; see node.sh.
wanted=$(sed -E 's/[[:space:]]*#.*//; /^$/d' "${lists[@]}"; command -v npm > /dev/null || echo npm)
mapfile -t missing < <(comm -23 <(sort -u <<< "$wanted") <(dpkg-query -W -f '${db:Status-Status} ${Package}\n' | sed -n 's/^installed //p' | sort -u))

if [ ${#missing[@]} -gt 0 ]; then
  echo "Installing Debian packages: ${missing[*]}"
  # What is installed for its library or its program must not start serving this machine's network. A policy
  # that is there already decides instead.
  # shellcheck disable=SC2016
  "${as_root[@]}" bash -euc '
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
      trap "rm -f $policy" EXIT
      printf "#!/bin/sh\nexit 101\n" > "$policy"
      chmod +x "$policy"
    fi
    export DEBIAN_FRONTEND=noninteractive
    apt-get update
    apt-get install --yes --no-install-recommends --no-remove "$@"
  ' install "${missing[@]}" || {
    echo "These Debian packages are needed and could not be installed. Install them, then run \`make $verb\` again:" >&2
    echo "    apt-get update && apt-get install --no-install-recommends ${missing[*]}" >&2
    exit 1
  }
fi
