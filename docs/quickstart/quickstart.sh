#!/bin/bash
# quickstart.sh [--keep]: sets everything up, starts a Docker daemon of its own on thinlayer, and runs and builds
# images on it. Nothing of the host's Docker is used or changed. With --keep the daemon runs on until Enter is pressed.
set -euo pipefail
cd "$(dirname "$0")/../.."
bash test/setup/ensure.sh build system

work=$(mktemp -d /var/tmp/thinlayer-quickstart-XXXXXX)
chmod 711 "$work"
sockets=$work/sockets
mkdir "$sockets"
export PATH=/usr/sbin:/sbin:$PATH DOCKER_HOST=unix://$sockets/docker.sock DOCKER_CONFIG=$work/config DOCKER_BUILDKIT=0
docker=docker
[ ! -x /usr/bin/docker ] || docker=/usr/bin/docker

# The jail dies, and removes its directory, when its standard input ends: that is, with this script.
coproc JAIL { exec bash test/setup/jail.sh "$work"; }
exec 3>&"${JAIL[1]}"
read -r _ <&"${JAIL[0]}"
keeper=$JAIL_PID
unshare=$(cat "/proc/$keeper/task/$keeper/children")
init=$(tr -d ' ' < "/proc/${unshare// /}/task/${unshare// /}/children")
finish() { exec 3>&-; eval "exec ${JAIL[1]}>&-"; wait "$keeper" 2>/dev/null || true; }
trap finish EXIT

show() { printf '\n\033[1m$ %s\033[0m\n' "$*"; "$@"; }
title() { printf '\n== %s\n' "$*"; }
start() { # NAME COMMAND…: in the jail, with its log in a file
  local name=$1
  shift
  printf '\n\033[1m$ %s &\033[0m\n' "$*"
  nsenter -t "$init" -m -p -n -- "$@" > "$work/$name.log" 2>&1 3>&- &
}
await() { # NAME COMMAND…: until the command succeeds
  local name=$1 tries
  shift
  for tries in $(seq 300); do
    "$@" >/dev/null 2>&1 && return
    sleep 0.1
  done
  echo "$name did not start:" >&2
  tail -20 "$work/$name.log" >&2
  exit 1
}

title "A Docker daemon whose images and containers are kept by thinlayer"
start thinlayerd node "$PWD/dist/src/main.js" --socket "$sockets/thinlayer.sock" --state "$work/state"
await thinlayerd test -S "$sockets/thinlayer.sock"
ln -s "$sockets/thinlayer.sock" "/proc/$init/root/run/docker/plugins/thinlayer.sock"
start dockerd dockerd --experimental -s thinlayer -H "$DOCKER_HOST" --data-root "$work/data" --exec-root "$work/exec" \
  --pidfile "$work/dockerd.pid" --bridge=none --iptables=false --ip6tables=false --ip-forward=false --log-level=warn \
  --exec-opt native.cgroupdriver=cgroupfs "--cgroup-parent=/$(basename "$work")"
await dockerd $docker version
title "Its storage driver"
show $docker info --format 'Storage Driver: {{.Driver}}{{range .DriverStatus}}{{println}} {{index . 0}}: {{index . 1}}{{end}}'

title "An image made of Debian's busybox"
mkdir -p "$work/tree/bin" "$work/context"
cp /bin/busybox "$work/tree/bin/"
for name in sh ls cat echo rm mkdir; do ln "$work/tree/bin/busybox" "$work/tree/bin/$name"; done
tar -C "$work/tree" -c . > "$work/busybox.tar"
show $docker import "$work/busybox.tar" busybox
show $docker run --rm busybox echo 'Hello from a container on thinlayer.'

title "A build: each step is a layer"
printf '%s\n' 'FROM busybox' 'COPY greeting /app/' 'RUN echo "and a second line" >> /app/greeting' 'CMD ["cat", "/app/greeting"]' > "$work/context/Dockerfile"
echo 'A file that came in by COPY,' > "$work/context/greeting"
show $docker build -t greeter "$work/context"
show $docker run --rm greeter
show $docker history --format '{{.Size}}	{{.CreatedBy}}' greeter

title "What thinlayer keeps on disk"
show ls "$work/data/thinlayer"

if [ "${1:-}" = --keep ]; then
  title "Running on"
  echo "In another terminal:"
  echo "  export DOCKER_HOST=$DOCKER_HOST"
  echo "  $docker run --rm -it busybox sh"
  echo "Logs: $work/thinlayerd.log, $work/dockerd.log. Press Enter to end it and remove $work."
  read -r _
fi
title "Done; everything is removed again"
