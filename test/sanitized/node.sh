#!/bin/sh
# node.sh ARGUMENT…: Node with a sanitizer's library in it, as run.sh wants it for the addon: the library has to be there
# before the first malloc, and the addon before the library first looks for the names of functions. children.ts keeps both
# out of every other program that a test starts. To be called by its whole path: Node's test runner hands --import on.
set -eu
# A name of its own for each process: their numbers repeat, in the jails of the tests.
report=$(mktemp -u "$THINLAYER_REPORTS/XXXXXXXX")
export ASAN_OPTIONS="$ASAN_OPTIONS:log_path=$report" TSAN_OPTIONS="$TSAN_OPTIONS:log_path=$report"
children=$(dirname "$0")/../../dist/test/sanitized/children.js
LD_PRELOAD="$THINLAYER_SANITIZER $THINLAYER_ADDON" exec "$THINLAYER_NODE" --import "$children" "$@"
