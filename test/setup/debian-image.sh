#!/bin/bash
# debian-image.sh: makes CACHE/debian-image.tar, the tree of an image as many are: a debootstrap with Python, about 130 MB.
# It downloads packages once.
set -euo pipefail
. "$(dirname "$0")/packages.sh"
[ -e "$CACHE/debian-image.tar" ] && exit
suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | grep -E '/debian/?$' | head -1)
tree=$(mktemp -d /var/tmp/thinlayer-debootstrap-XXXXXX)
trap 'rm -rf --one-file-system "$tree" "$tree.log"' EXIT
echo "setup: debootstrap of $suite for a test image" >&2
debootstrap --variant=minbase --include=python3-minimal "$suite" "$tree" ${mirror:+"$mirror"} > "$tree.log" ||
  { cat "$tree.log" >&2; exit 1; }
rm -rf "$tree"/var/cache/apt/* "$tree"/var/lib/apt/lists/* "$tree"/usr/share/{doc,man}
tar --format=posix --numeric-owner --xattrs '--xattrs-include=*' -C "$tree" -cf "$CACHE/debian-image.tar.part" .
mv "$CACHE/debian-image.tar.part" "$CACHE/debian-image.tar"
