# packages.sh: sourced; names the Debian packages of each purpose, and where things are cached.

CACHE=${XDG_CACHE_HOME:-/var/tmp}/thinlayer-test

BUILD_PACKAGES="g++ make python3 pkg-config libfuse3-dev libsqlite3-dev zlib1g-dev"
UNIT_PACKAGES="sqlite3 openssl procps" # the first two are run by the maker of CVMFS repositories
DAEMON_PACKAGES="attr procps iproute2 e2fsprogs xfsprogs btrfs-progs"
SYSTEM_PACKAGES="busybox-static docker-registry libcap2-bin attr xfsprogs e2fsprogs xz-utils iproute2"
BENCH_PACKAGES="debootstrap"
CONFORMANCE_PACKAGES="attr dpkg-dev golang-go golang-github-docker-docker-dev golang-github-containerd-containerd-dev
  golang-github-gotestyourself-gotest.tools-dev golang-github-containerd-continuity-dev
  golang-github-docker-go-connections-dev golang-github-docker-go-units-dev golang-github-moby-locker-dev
  golang-github-moby-sys-dev golang-github-opencontainers-selinux-dev golang-github-vbatts-tar-split-dev"

# The packages of the arguments that are not installed.
missing_packages() {
  local installed
  installed=$(dpkg-query -W -f='${Package} ${db:Status-Status}\n' "$@" 2>/dev/null | sed -n 's/ installed$//p')
  printf '%s\n' "$@" | grep -vxF "${installed:-none}" || true
}

# Whether apt knows the package; a machine that was just made has no lists yet. An update that fails tells why at the installation.
in_debian() {
  [ -n "$(find /var/lib/apt/lists -name '*_Packages*' -print -quit 2>/dev/null)" ] || apt-get update -qq >/dev/null 2>&1 || true
  apt-cache show "$1" >/dev/null 2>&1
}

# Graph-driver plugins left Docker with version 28: Debian 12 and 13 have a dockerd that still knows them. A dockerd
# that is here already (docker-ce, say) stays, since docker.io would take its place.
missing_docker() {
  PATH=$PATH:/usr/sbin command -v dockerd >/dev/null || echo docker.io
  if ! command -v docker >/dev/null && in_debian docker-cli; then echo docker-cli; fi
  # Docker's client builds with BuildKit by itself up to 20.10, and by this plugin from 23 on.
  if ! docker buildx version >/dev/null 2>&1 && in_debian docker-buildx; then echo docker-buildx; fi
}
