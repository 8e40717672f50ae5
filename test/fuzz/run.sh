#!/bin/bash
# run.sh [CASES [SEED]]: fuzzes what strangers write: manifests, whitelists, certificates, descriptors, profiles, configuration,
# and catalogs, whole ones and what is in their columns. A million cases take some minutes.
set -euo pipefail
cd "$(dirname "$0")/../.."
bash test/setup/ensure.sh build
node dist/test/fuzz/main.js "$@"
