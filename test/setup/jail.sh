#!/bin/bash
# jail.sh DIRECTORY: a place of its own for one test lab, in which daemons run and may be killed at any time.
#
# The jail has its own mounts, process ids and network (loopback only), an empty /run, and a copy-on-write /etc:
# dockerd looks for plugins in /run/docker/plugins, writes /etc/docker/key.json, and `--userns-remap=default` adds a
# user to /etc/passwd; none of that may reach the host. Prints "ready" when it stands. It lives until its standard
# input ends, so it dies with the process that made it, however that one ended; every process and mount in it dies with
# it, and then DIRECTORY and the lab's cgroups are removed; if that was killed too, the next jail beside it removes them.
set -eu
directory=$1

if [ "${2:-}" = inside ]; then
  mount -t tmpfs -o mode=755 tmpfs /run
  mkdir -p /run/etc/upper /run/etc/work /run/docker/plugins
  mount -t overlay -o lowerdir=/etc,upperdir=/run/etc/upper,workdir=/run/etc/work overlay /etc
  rm -rf /etc/docker && mkdir /etc/docker
  : > /etc/subuid && : > /etc/subgid
  ip link set lo up
  # Of this network alone; dockerd warns at each container without it.
  echo 1 > /proc/sys/net/ipv4/ip_forward || true
  echo ready
  read -r _ || true
  exit 0
fi

remove() { # DIRECTORY, and the cgroups that are named after it
  rm -rf --one-file-system "$1"
  find /sys/fs/cgroup -depth -type d -path "*/$(basename "$1")*" -exec rmdir {} + 2>/dev/null || true
}

# What a jail left that was killed together with its keeper. All of a jail holds the lock of its mark, so nobody is alive where it can be had.
for mark in "$(dirname "$directory")"/thinlayer-*/.jail; do
  left=$(dirname "$mark")
  [ -O "$left" ] && [ ! -L "$left" ] && [ -f "$mark" ] && [ ! -L "$mark" ] || continue
  if flock -n "$mark" true; then remove "$left"; fi
done
# Under its name only when it is locked: another jail may begin at any moment.
exec 9> "$directory/.jail.new"
flock 9
mv "$directory/.jail.new" "$directory/.jail"

unshare --mount --net --pid --fork --kill-child --mount-proc bash "$0" "$directory" inside || true
remove "$directory"
