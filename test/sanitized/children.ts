/**
 * Preloaded into a Node that runs with a sanitizer. A program that a test starts gets none: LD_PRELOAD ends here. Except
 * Node itself, which may load the addon: who starts `process.execPath` starts test/sanitized/node.sh.
 */

import { fileURLToPath } from 'node:url';

delete process.env['LD_PRELOAD'];
process.execPath = fileURLToPath(new URL('../../../test/sanitized/node.sh', import.meta.url));
