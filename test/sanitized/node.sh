#!/bin/sh
# node.sh ARGUMENT…: Node with a sanitizer's library in it ($THINLAYER_SANITIZER), which an addon loaded later needs: the library
# has to be there before the first malloc. children.ts keeps it out of every other program that a test starts.
LD_PRELOAD="$THINLAYER_SANITIZER $THINLAYER_ADDON" exec node --import "$(dirname "$0")/../../dist/test/sanitized/children.js" "$@"
