#!/bin/bash
# quickstart.sh [--keep]: sets everything up, starts a Docker daemon of its own on thinlayer, and runs a thin image from a
# repository of its own, and ordinary ones beside it. Nothing of the host's Docker is used or changed. With --keep the daemon
# runs on until Enter is pressed.
set -euo pipefail
cd "$(dirname "$0")/../.."
bash test/setup/ensure.sh build unit system
. test/setup/packages.sh

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

# As it can be pasted into a shell: with quotes, where they are needed.
pasted() {
  local word words=()
  for word; do
    [[ $word =~ ^[[:alnum:]_./:=,@%+-]+$ ]] || word=${word@Q}
    words+=("$word")
  done
  printf '%s' "${words[*]}"
}
show() { printf '\n\033[1m$ %s\033[0m\n' "$(pasted "$@")"; "$@"; }
title() { printf '\n== %s\n' "$*"; }
start() { # NAME COMMAND…: in the jail, with its log in a file
  local name=$1
  shift
  printf '\n\033[1m$ %s &\033[0m\n' "$(pasted "$@")"
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

# What runs is seen, and how long it took is in $took, in milliseconds.
timed() {
  local begun=${EPOCHREALTIME/[.,]/}
  show "$@"
  took=$(((${EPOCHREALTIME/[.,]/} - begun) / 1000))
}
megabytes() { awk -v bytes="$1" 'BEGIN { printf "%.1f MB", bytes / 1e6 }'; }
served() { awk '{ bytes += $3 } END { printf "%d", bytes }' "$work/server.log"; } # bytes, by the web server's log

tar=$CACHE/debian-tree.tar # by test/setup/debian-tree.sh
hello=(python3 -c 'print("Hello from Python in a container.")')

title "A CVMFS repository with the files of an image in it: a small Debian, with Python"
echo "It is made here, signed with keys of its own, and served on a loopback network that only this script has."
node dist/test/cvmfs/publish-image.js "$tar" "$work/site" "$work/cvmfs" "$work/thin" http://127.0.0.1:8000
start server node "$PWD/dist/test/cvmfs/serve.js" 8000 "$work/site"
await server nsenter -t "$init" -n bash -c 'exec 4<>/dev/tcp/127.0.0.1/8000'

title "A Docker daemon whose images and containers are kept by thinlayer"
start thinlayerd node "$PWD/dist/src/main.js" --socket "$sockets/thinlayer.sock" --state "$work/state"
await thinlayerd test -S "$sockets/thinlayer.sock"
ln -s "$sockets/thinlayer.sock" "/proc/$init/root/run/docker/plugins/thinlayer.sock"
start dockerd dockerd --experimental -s thinlayer --storage-opt "cvmfs.config_dir=$work/cvmfs" -H "$DOCKER_HOST" \
  --data-root "$work/data" --exec-root "$work/exec" --pidfile "$work/dockerd.pid" \
  --bridge=none --iptables=false --ip6tables=false --ip-forward=false --log-level=warn \
  --exec-opt native.cgroupdriver=cgroupfs "--cgroup-parent=/$(basename "$work")"
await dockerd $docker version
show $docker info --format 'Storage Driver: {{.Driver}}{{range .DriverStatus}}{{println}} {{index . 0}}: {{index . 1}}{{end}}'

title "A thin image: one small file, which names a layer in the repository"
show cat "$work/thin/thin.json"
tar -C "$work/thin" -c . > "$work/thin.tar"
show $docker import "$work/thin.tar" thin
timed $docker run --rm thin "${hello[@]}"
cold=$took
fetched=$(served)
timed $docker run --rm thin "${hello[@]}"
warm=$took
title "The same image as an ordinary one, from a registry"
printf '{"version":"0.1","log":{"level":"warn"},"storage":{"filesystem":{"rootdirectory":"%s"}},"http":{"addr":"127.0.0.1:5000"}}' \
  "$work/registry" > "$work/registry.json"
start registry docker-registry serve "$work/registry.json"
await registry nsenter -t "$init" -n bash -c 'exec 4<>/dev/tcp/127.0.0.1/5000'
fat=127.0.0.1:5000/fat
$docker import "$tar" $fat > "$work/import.log"
$docker push -q $fat > "$work/push.log"
pulled=$(find "$work/registry" -name data -printf '%s\n' | awk '{ bytes += $1 } END { printf "%d", bytes }')
$docker rmi $fat > "$work/rmi.log"
timed bash -c "$docker pull -q $fat && $docker run --rm $fat $(pasted "${hello[@]}")"

title "What it took until Python had said hello"
row() { printf '%-42s %8s ms   %10s over the network\n' "$1" "$2" "$(megabytes "$3")"; }
row "thin image, nothing of it here (cold)" "$cold" "$fetched"
row "thin image, again (warm)" "$warm" $(($(served) - fetched))
row "ordinary image, docker pull and run" "$took" "$pulled"
echo "The image's files are $(megabytes "$(stat -c %s "$tar")"); $((100 * fetched / pulled)) % of what a pull moves was fetched. The cold start mounts the"
echo "repository too. Both come over loopback, which costs nothing: with a network in between, the bytes decide."

title "Ordinary images are kept as well: an image of Debian's busybox"
mkdir -p "$work/tree/bin" "$work/context"
cp /bin/busybox "$work/tree/bin/"
for name in sh ls cat echo rm mkdir; do ln "$work/tree/bin/busybox" "$work/tree/bin/$name"; done
tar -C "$work/tree" -c . > "$work/busybox.tar"
show $docker import "$work/busybox.tar" busybox
show $docker run --rm busybox echo 'Hello from a container on thinlayer.'
title "A build: each step is a layer"
printf '%s\n' 'FROM busybox' 'COPY greeting /app/' 'RUN echo "and a second line" >> /app/greeting' 'CMD ["cat", "/app/greeting"]' > "$work/context/Dockerfile"
echo 'A file that came in by COPY,' > "$work/context/greeting"
show $docker build -q -t greeter "$work/context"
show $docker run --rm greeter

title "What thinlayer keeps on disk"
show ls "$work/data/thinlayer" "$work/data/thinlayer/cvmfs"

if [ "${1:-}" = --keep ]; then
  title "Running on"
  echo "In another terminal:"
  echo "  export DOCKER_HOST=$DOCKER_HOST"
  echo "  $docker run --rm -it thin python3"
  echo "Logs: $work/thinlayerd.log, $work/dockerd.log. Press Enter to end it and remove $work."
  read -r _
fi
title "Done; everything is removed again"
