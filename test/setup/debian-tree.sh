#!/bin/bash
# debian-tree.sh: makes CACHE/debian-tree.tar, a small Debian with Perl and Python: setuid programs, hard links, and,
# added here, file capabilities and device nodes. It downloads packages once.
set -euo pipefail
. "$(dirname "$0")/packages.sh"
[ -e "$CACHE/debian-tree.tar" ] && exit
mkdir -p "$CACHE/debs"
cd "$CACHE/debs"
apt-get update -qq
flags="--no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances"
packages=$(apt-cache depends --recurse $flags perl-base python3-minimal dash coreutils mount libcap2-bin | grep -E '^[a-z0-9]' |
  grep -vE '^(debconf|dpkg|tar|cdebconf|debconf-2.0|perl)$')
echo "setup: downloading $(echo "$packages" | wc -l) Debian packages for a test image" >&2
for package in $packages; do apt-get download -qq "$package" 2>/dev/null || true; done
tree=$(mktemp -d "$CACHE/tree-XXXXXX")
trap 'rm -rf "$tree"' EXIT
chmod 755 "$tree"
for deb in *.deb; do dpkg -x "$deb" "$tree"; done
rm -rf "$tree"/usr/share/{doc,man,locale,info,lintian}
mkdir -p "$tree"/{proc,sys,dev,tmp}
# From Debian 13 on the packages hold usr/bin only; base-files would make these links.
for name in bin sbin lib lib64; do [ -e "$tree/$name" ] || ln -s "usr/$name" "$tree/$name"; done
setcap cap_net_raw,cap_setuid+ep "$tree/usr/bin/printf"
mknod "$tree/dev/null" c 1 3 && mknod "$tree/dev/loop0" b 7 0 && mkfifo "$tree/tmp/fifo" && chmod 666 "$tree/dev/null"
ln "$tree/usr/bin/sort" "$tree/usr/bin/sort-link"
chown 1234:5678 "$tree/tmp/fifo" && touch -d '2001-02-03 04:05:06.789012345' "$tree/tmp/fifo"
tar --format=posix --numeric-owner --xattrs '--xattrs-include=*' -C "$tree" -cf "$CACHE/debian-tree.tar.part" .
mv "$CACHE/debian-tree.tar.part" "$CACHE/debian-tree.tar"
