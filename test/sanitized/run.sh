#!/bin/bash
# run.sh address|thread [TEST-FILE…]: builds the addon with GCC's sanitizers beside the usual build, and runs the tests
# that use it, or those named (dist/…), with that. Fails if a test fails, or if a sanitizer found something anywhere: in a
# daemon that a test started, too.
#
# address: memory errors, and undefined behaviour. Leaks are not looked for: V8 frees nothing at its end.
# thread: data races of the addon. Node is not instrumented, so what it does to its own memory is not seen; what it does
# through libc is, and tsan-suppressions.txt says which findings of that kind are not ours.
set -euo pipefail
cd "$(dirname "$0")/../.."

case ${1:-} in
  address) sanitize=address,undefined library=libasan.so ;;
  thread) sanitize=thread library=libtsan.so ;;
  *) echo "usage: test/sanitized/run.sh address|thread [TEST-FILE...]" >&2; exit 2 ;;
esac
build=$PWD/native/build-$1
shift
files=("$@")
[ $# -gt 0 ] || mapfile -t files < <(find test/native test/unit/host test/daemon/{fuzz,hostile-archives,smoke}.test.ts -name '*.test.ts' |
  sort | sed 's|^|dist/|; s|ts$|js|')

bash test/setup/ensure.sh build daemon
. test/setup/node-headers.sh
# node-gyp builds in its source directory only: so it gets one of its own.
mkdir -p "$build"
cp --update native/*.cc native/*.h native/binding.gyp "$build"
GYP_DEFINES="sanitize=$sanitize" node_modules/.bin/node-gyp configure build -C "$build" --loglevel=warn >&2

reports=$build/reports
rm -rf "$reports" && mkdir "$reports"
export THINLAYER_ADDON=$build/build/Release/thinlayer.node
THINLAYER_NODE=$(command -v node)
THINLAYER_SANITIZER=$(gcc -print-file-name=$library)
export THINLAYER_NODE THINLAYER_SANITIZER
# A report of undefined behaviour goes to standard error (libubsan has a log_path, and does not heed it beside libasan): there
# the end of the process is what makes the test fail.
export ASAN_OPTIONS=detect_leaks=0:abort_on_error=1:disable_coredump=1:log_path=$reports/report
export UBSAN_OPTIONS=halt_on_error=1:abort_on_error=1:print_stacktrace=1
export TSAN_OPTIONS=suppressions=$PWD/test/sanitized/tsan-suppressions.txt:history_size=7:log_path=$reports/report
export THINLAYER_FUZZ=${THINLAYER_FUZZ:-500}

status=0
# Without randomisation of addresses: libtsan wants those of its shadow memory free.
setarch -R "$PWD/test/sanitized/node.sh" --test --test-concurrency=1 --test-reporter=spec "${files[@]}" || status=1
if [ -n "$(ls "$reports")" ]; then
  cat "$reports"/* >&2
  echo "run.sh: the sanitizer reported $(cat "$reports"/* | grep -c ^SUMMARY) findings, which are above and in $reports" >&2
  status=1
fi
exit $status
