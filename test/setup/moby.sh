#!/bin/bash
# moby.sh: builds what the comparison with Docker's own drivers needs, from Debian's packages, into the cache:
#   bin/graphtest  moby's conformance suite over a plugin socket (test/conformance/graphtest)
#   bin/o2serve    moby's overlay2 served as a plugin, the peer of the benchmarks (test/bench/peer/o2serve)
# Without moby 20.10 in Debian's archive (Debian 13 has a later one) nothing is built, and the tests say that they skip.
set -euo pipefail
cd "$(dirname "$0")/../.."
. test/setup/packages.sh
root=$PWD

say() { echo "setup: $*" >&2; }

# moby's source as Debian patches it: the -dev package lacks plugin/v2 and quota. It needs deb-src entries, which a
# machine seldom has; they are derived from its deb entries and used for this download only.
fetch_source() {
  [ -e "$CACHE/moby/engine" ] && return
  say "downloading the source of Debian's docker.io"
  local apt=$CACHE/moby/apt
  mkdir -p "$apt/lists/partial" "$apt/parts"
  for list in /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list; do
    [ ! -e $list ] || sed 's/^Types: deb$/Types: deb-src/; s/^deb /deb-src /' $list > "$apt/parts/$(basename $list | sed 's/^sources.list$/main.list/')"
  done
  local options="-oDir::Etc::sourcelist=/dev/null -oDir::Etc::sourceparts=$apt/parts -oDir::State::Lists=$apt/lists"
  apt-get $options -oAPT::Get::List-Cleanup=0 update -qq
  (cd "$CACHE/moby" && apt-get $options source -qq docker.io >/dev/null && ln -sfn docker.io-20.10*/engine engine)
}

build() { # NAME FOLDER COMMAND…
  local name=$1 folder=$2
  shift 2
  [ -e "$CACHE/bin/$name" ] && [ -z "$(find "$folder" -newer "$CACHE/bin/$name" -name '*.go')" ] && return
  say "building $name"
  ln -sfn "$root/$folder" "$GOPATH_OWN/src/$name"
  (cd "$GOPATH_OWN/src/$name" && "$@" -o "$CACHE/bin/$name" .)
}

if ! dpkg-query -W -f='${Version}' golang-github-docker-docker-dev 2>/dev/null | grep -q '^20\.10'; then
  say "SKIPPED: this Debian has no moby 20.10; its conformance suite and the peer o2serve are not built"
  exit 0
fi
fetch_source
GOPATH_OWN=$CACHE/moby/gopath
mkdir -p "$CACHE/bin" "$GOPATH_OWN/src/github.com/docker"
ln -sfn "$CACHE/moby/engine" "$GOPATH_OWN/src/github.com/docker/docker"
export GO111MODULE=off GOFLAGS= CGO_ENABLED=0 GOCACHE=$CACHE/moby/go-build GOPATH=$GOPATH_OWN:/usr/share/gocode
build o2serve test/bench/peer/o2serve go build
build graphtest test/conformance/graphtest go test -c
