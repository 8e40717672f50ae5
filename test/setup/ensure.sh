#!/bin/bash
# ensure.sh PURPOSE…: makes sure that all is there that `build`, `unit`, `daemon` (thinlayerd in a jail), `system` (a real
# dockerd), `conformance` (moby's suite, in Go) and `bench` need. Says what is missing, then installs it with apt. Quick when
# nothing is. Never starts or enables a service of the host.
set -euo pipefail
cd "$(dirname "$0")/../.."
. test/setup/packages.sh

say() { echo "setup: $*" >&2; }

needed_packages() {
  local purpose
  for purpose in "$@"; do
    case $purpose in
      build) missing_packages $BUILD_PACKAGES ;;
      unit) missing_packages $UNIT_PACKAGES ;;
      daemon) missing_packages $DAEMON_PACKAGES ;;
      system) missing_docker; missing_packages $SYSTEM_PACKAGES ;;
      conformance) missing_packages $CONFORMANCE_PACKAGES ;;
      bench) missing_packages $BENCH_PACKAGES ;;
      *) say "unknown purpose $purpose"; exit 2 ;;
    esac
  done | sort -u | tr '\n' ' '
}

# invoke-rc.d asks policy-rc.d whether a package may start its service: 101 is no.
without_services() {
  local policy=/usr/sbin/policy-rc.d
  if [ -e $policy ]; then "$@"; return; fi
  printf '#!/bin/sh\nexit 101\n' > $policy && chmod 755 $policy
  local status=0
  "$@" || status=$?
  rm -f $policy
  return $status
}

install_packages() {
  export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1
  apt-get update -qq
  without_services apt-get install -y -qq --no-install-recommends "$@" >/dev/null
  case " $* " in
    *" docker.io "* | *" docker-registry "*)
      # The packages enable their services for the next boot; nobody asked for that here.
      systemctl disable --quiet docker.service docker.socket containerd.service docker-registry.service 2>/dev/null || true ;;
  esac
}

ensure_packages() {
  local packages
  packages=$(needed_packages "$@")
  [ -n "${packages// /}" ] || return 0
  say "missing Debian packages: $packages"
  if [ "$(id -u)" != 0 ]; then say "run as root, or install them: apt-get install $packages"; exit 1; fi
  if ! command -v apt-get >/dev/null; then say "no apt-get here; install what these Debian packages hold: $packages"; exit 1; fi
  say "installing them"
  install_packages $packages
}

ensure_node() {
  local version
  version=$(node --version 2>/dev/null) || { say "Node.js is missing; install version 20.18 or later (https://nodejs.org)"; exit 1; }
  node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 18) ? 0 : 1)' ||
    { say "Node.js $version is too old; install version 20.18 or later (https://nodejs.org)"; exit 1; }
}

ensure_modules() {
  [ -e node_modules/.package-lock.json ] && [ ! package-lock.json -nt node_modules/.package-lock.json ] && return
  say "installing the npm packages of package-lock.json into node_modules"
  npm ci --no-audit --no-fund --ignore-scripts --loglevel=error
  touch node_modules/.package-lock.json
}

ADDONS="native/build/Release/thinlayer.node native/build/Release/thinlayer_cvmfs.node"

addons_are_built() {
  local addon
  for addon in $ADDONS; do [ -e "$addon" ] || return 1; done
}

addons_are_current() {
  local addon
  addons_are_built || return 1
  for addon in $ADDONS; do
    [ -z "$(find native -path 'native/build*' -prune -o -type f -newer "$addon" -print -quit)" ] || return 1
  done
}

ensure_addons() {
  ! addons_are_current || return 0
  say "building the native addons"
  npm run --silent build:native 2>&1 | { grep -E '(error|warning):' || true; } >&2
  addons_are_built || { say "an addon was not built: run npm run build:native to see why"; exit 1; }
}

ensure_javascript() {
  # What is written last: one that was broken off is not taken for whole.
  local built=dist/bin/thinlayer-cvmfs.js
  [ -e $built ] && [ -z "$(find src actors test package-lock.json tsconfig.json rollup.config.js -newer $built -print -quit 2>/dev/null)" ] && return
  say "compiling"
  npm run --silent build:ts
  touch $built
}

ensure_node
ensure_packages "$@"
ensure_modules
ensure_addons
ensure_javascript
case " $* " in *" conformance "*) bash test/setup/moby.sh ;; esac
case " $* " in *" system "*) bash test/setup/debian-tree.sh ;; esac
