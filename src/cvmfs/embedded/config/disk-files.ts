/** ConfigFiles over the disk. Synchronous: a configuration is read when a process begins, before anything else runs in it. */

import { readdirSync, readFileSync, statSync } from 'node:fs';

import { ThinlayerError } from '../../../core/errors.js';
import type { ConfigFiles } from './config-files.js';

/** No file of a configuration comes near it; one that does was named by mistake. */
const MAX_BYTES = 1 << 20;

/** `rdev` of /dev/null: a link to it is how an administrator switches a file off. */
const NULL_DEVICE = 0x0103;

/** What editors of other systems begin a file with. */
const BYTE_ORDER_MARK = /^\uFEFF/;

export const DISK_FILES: ConfigFiles = {
  read(path) {
    const stats = orMissing(path, () => statSync(path));
    if (stats === null) return null;
    if (stats.isCharacterDevice() && stats.rdev === NULL_DEVICE) return '';
    // Whoever reads a FIFO may wait for ever.
    if (!stats.isFile()) {
      throw new ThinlayerError(
        'failed_precondition',
        `cannot read ${path}: it is no regular file; put one there, or name another`,
        { path },
      );
    }
    if (stats.size > MAX_BYTES) {
      throw new ThinlayerError('invalid_argument', `${path} is too large for a configuration file`, { path });
    }
    return orMissing(path, () => readFileSync(path, 'utf8').replace(BYTE_ORDER_MARK, ''));
  },
  list: (path) => orMissing(path, () => readdirSync(path).sort()),
  kind(path) {
    const stats = orMissing(path, () => statSync(path));
    if (stats === null) return null;
    return stats.isFile() ? 'file' : stats.isDirectory() ? 'directory' : 'other';
  },
};

function orMissing<T>(path: string, read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    throw new ThinlayerError('failed_precondition', `cannot read ${path}: ${message}`, {
      path,
      cause: error,
    });
  }
}
