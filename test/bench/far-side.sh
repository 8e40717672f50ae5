#!/bin/bash
# far-side.sh RATE COMMAND…: in a jail, runs COMMAND in a network of its own, 10.0.0.2, which the jail reaches as from 10.0.0.1
# over a link that brings it no more than RATE. Both ends go with the command.
set -euo pipefail
if [ "$1" = far ]; then
  rate=$2
  shift 2
  ip link set lo up
  ip link add far type veth peer name near netns 1
  ip addr add 10.0.0.2/24 dev far
  ip link set far up
  tc qdisc add dev far root tbf rate "$rate" burst 64kb latency 100ms
  nsenter -t 1 -n sh -c 'ip addr add 10.0.0.1/24 dev near && ip link set near up'
  exec "$@"
fi
exec unshare --net bash "$0" far "$@"
