#!/bin/bash
# run.sh [lint|pure|unit|native|daemon|conformance|system]…: builds, then runs these suites, all of them if none is named, and
# ends with the totals in the words of Node's test runner. Fails if a test fails, or if a suite named has no test.
set -uo pipefail
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- lint pure unit native daemon conformance system

purposes=build
for suite in "$@"; do
  case $suite in
    lint | pure | native) ;;
    unit | daemon | conformance | system) purposes="$purposes $suite" ;;
    *) echo "usage: test/run.sh [lint|pure|unit|native|daemon|conformance|system]..." >&2; exit 2 ;;
  esac
done
bash test/setup/ensure.sh $purposes || exit 1

# Not in /tmp: a run that is killed leaves nothing outside of what was built.
results=dist/results
rm -rf "$results" && mkdir -p "$results"
status=0

# Mounts of a run that is killed go with its last process. Who may not have a name space of his own mounts nothing either.
apart=()
! unshare --mount true 2>/dev/null || apart=(unshare --mount)

run_suite() { # SUITE
  local files
  echo "== $1"
  if [ "$1" = lint ]; then npm run --silent lint; return; fi
  # From the sources: dist may still hold what was compiled from deleted ones.
  mapfile -t files < <(find "test/$1" -name '*.test.ts' | sort | sed 's|^|dist/|; s|ts$|js|')
  [ "$1" != pure ] || files=(dist/test/pure/all.js)
  if [ ${#files[@]} = 0 ]; then echo "no tests in test/$1" >&2; return 1; fi
  local together=2
  # A lab of the other suites has the machine to itself: a daemon starved for a second is no failure worth chasing.
  [ "$1" = unit ] || together=1
  "${apart[@]}" node --test --test-concurrency=$together \
    --test-reporter=spec --test-reporter-destination=stdout \
    --test-reporter=tap --test-reporter-destination="$results/$1.tap" "${files[@]}"
}

for suite in "$@"; do
  run_suite "$suite" || status=1
done

# Node's runner ends with "# tests N", "# pass N" and so on, for each suite: their sums are the last lines.
cat "$results"/*.tap 2>/dev/null | awk '
  /^# (tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) [0-9.]+$/ { if (!($2 in sum)) order[++n] = $2; sum[$2] += $3 }
  END { for (i = 1; i <= n; i++) print "# " order[i], sum[order[i]] }'
exit $status
