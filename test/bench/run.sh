#!/bin/bash
# run.sh [PART…]: sets up, then measures thinlayer beside moby's overlay2 (served as a plugin, and built into dockerd).
set -euo pipefail
cd "$(dirname "$0")/../.."
bash test/setup/ensure.sh build unit system conformance bench
exec node dist/test/bench/main.js "$@"
