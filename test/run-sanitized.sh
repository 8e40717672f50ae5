#!/bin/bash
# run-sanitized.sh address|thread [TEST-FILE…]: builds the addon with GCC's sanitizers beside the usual build, and runs
# the tests of the native code, or those named, with it. The usual build and dist/ have to be there (npm run build).
#
# address: memory errors, and undefined behaviour. Leaks are not looked for: V8 frees nothing at its end.
# thread: data races, in our code only: node itself is not instrumented, so what it does to its own memory is not seen,
# and its locks, which libtsan sees only in part, are in test/tsan-suppressions.txt.
set -euo pipefail
cd "$(dirname "$0")/.."

case ${1:-} in
  address) sanitize=address,undefined library=libasan.so ;;
  thread) sanitize=thread library=libtsan.so ;;
  *) echo "usage: test/run-sanitized.sh address|thread [TEST-FILE...]" >&2; exit 2 ;;
esac
build=native/build-$1
shift
[ $# -gt 0 ] || mapfile -t files < <(find test/native test/daemon/fuzz.test.ts -name '*.test.ts' | sort | sed 's|^|dist/|; s|ts$|js|')
[ $# = 0 ] || files=("$@")

# node-gyp builds in its source directory only: so it gets one of its own.
mkdir -p "$build"
cp --update native/*.cc native/*.h native/binding.gyp "$build"
# Node's own headers where they came with it: node-gyp would download them.
prefix=$(dirname "$(dirname "$(readlink -f "$(command -v node)")")")
[ ! -e "$prefix/include/node/node_api.h" ] || export npm_config_nodedir=${npm_config_nodedir:-$prefix}
GYP_DEFINES="sanitize=$sanitize" node_modules/.bin/node-gyp configure build -C "$build" --loglevel=warn >&2

export THINLAYER_ADDON=$PWD/$build/build/Release/thinlayer.node
export ASAN_OPTIONS=detect_leaks=0:abort_on_error=1:disable_coredump=1
export UBSAN_OPTIONS=halt_on_error=1:abort_on_error=1:print_stacktrace=1
export TSAN_OPTIONS=halt_on_error=1:suppressions=$PWD/test/tsan-suppressions.txt:report_thread_leaks=0
export THINLAYER_FUZZ=${THINLAYER_FUZZ:-500}
LD_PRELOAD=$(gcc -print-file-name=$library)
export LD_PRELOAD
# Without randomisation: libtsan wants the addresses of its shadow memory free.
exec setarch -R node --test --test-concurrency=1 "${files[@]}"
