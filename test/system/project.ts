/** Where things are: the checkout, the cache that outlives it, the daemons of the machine. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** This file runs as dist/test/system/project.js. */
export const PROJECT_ROOT = fileURLToPath(new URL('../../../', import.meta.url));

/** The client of CVMFS as it is installed. */
export const CVMFS_CLIENT = join(PROJECT_ROOT, 'dist/bin/thinlayer-cvmfs.js');

/** Built peers and downloaded packages; the same default as in test/setup/*.sh. */
export const CACHE = join(process.env['XDG_CACHE_HOME'] ?? '/var/tmp', 'thinlayer-test');

/** Not below /tmp, which may be a tmpfs, and short: a unix socket's path has at most 107 bytes. */
export const SCRATCH = process.env['THINLAYER_TEST_DIR'] ?? '/var/tmp';

/** Debian's own client first: another one in PATH may speak an API that is too new for dockerd 20.10. */
export const DOCKER_CLI = existsSync('/usr/bin/docker') ? '/usr/bin/docker' : 'docker';
