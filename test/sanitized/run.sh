#!/bin/bash
# run.sh address|thread [TEST-FILE…]: builds the addons with GCC's sanitizers beside the usual build, and runs the tests
# that use it, or those named (dist/…), with that. Fails if a test fails, or if a sanitizer found something anywhere: in a
# daemon that a test started, too.
#
# address: memory errors, and undefined behaviour. Leaks are not looked for: V8 frees nothing at its end.
# thread: data races of the addons: a report without a frame of them is left out. Node is not instrumented: libtsan sees the
# locks and the memory that V8 takes from libc, and not the atomics by which its threads share them, so it reports V8's garbage
# collection as a race now and then. tsan-suppressions.txt has the false reports that do have a frame of ours.
set -euo pipefail
cd "$(dirname "$0")/../.."

case ${1:-} in
  address) sanitize=address,undefined library=libasan.so ours=. ;;
  thread) sanitize=thread library=libtsan.so ours='thinlayer(_cvmfs)?\\.node' ;;
  *) echo "usage: test/sanitized/run.sh address|thread [TEST-FILE...]" >&2; exit 2 ;;
esac
build=$PWD/native/build-$1
shift
files=("$@")
[ $# -gt 0 ] || mapfile -t files < <(find test/native test/unit/host test/daemon/{fuzz,hostile-archives,smoke}.test.ts -name '*.test.ts' |
  sort | sed 's|^|dist/|; s|ts$|js|')

bash test/setup/ensure.sh build daemon
. native/node-headers.sh
# node-gyp builds in its source directory only: so it gets one of its own.
mkdir -p "$build"
cp --update --recursive native/*.cc native/*.h native/cvmfs native/binding.gyp "$build"
GYP_DEFINES="sanitize=$sanitize" node_modules/.bin/node-gyp configure build -C "$build" --loglevel=warn >&2

export THINLAYER_REPORTS=$build/reports
rm -rf "$THINLAYER_REPORTS" && mkdir "$THINLAYER_REPORTS"
export THINLAYER_ADDON=$build/build/Release/thinlayer.node
export THINLAYER_CVMFS_ADDON=$build/build/Release/thinlayer_cvmfs.node
THINLAYER_NODE=$(command -v node)
THINLAYER_SANITIZER=$(gcc -print-file-name=$library)
export THINLAYER_NODE THINLAYER_SANITIZER
# A report of undefined behaviour goes to standard error (libubsan has a log_path, and does not heed it beside libasan): there
# the end of the process is what makes the test fail.
export ASAN_OPTIONS=detect_leaks=0:abort_on_error=1:disable_coredump=1
export UBSAN_OPTIONS=halt_on_error=1:abort_on_error=1:print_stacktrace=1
export TSAN_OPTIONS=suppressions=$PWD/test/sanitized/tsan-suppressions.txt:history_size=7:exitcode=0
export THINLAYER_FUZZ=${THINLAYER_FUZZ:-500}

# The reports of the sanitizer that have a line like $ours; each begins with a line of "=".
findings() {
  find "$THINLAYER_REPORTS" -type f -exec cat {} + | awk -v ours="$ours" '
    function finish() { if (mine) printf "%s", report; report = ""; mine = 0 }
    /^=+$/ { finish() }
    { report = report $0 "\n" }
    !/^=+$/ && $0 ~ ours { mine = 1 }
    END { finish() }'
}

status=0
# Without randomisation of addresses: libtsan wants those of its shadow memory free.
setarch -R "$PWD/test/sanitized/node.sh" --test --test-concurrency=1 --test-reporter=spec "${files[@]}" || status=1
found=$(findings)
if [ -n "$found" ]; then
  printf '%s\n\nrun.sh: the sanitizer has findings: they are above, and among others in %s\n' "$found" "$THINLAYER_REPORTS" >&2
  status=1
fi
exit $status
