/** What the disk says of the cache. */

import { fromErrno, isErrno } from '../../../core/errno.js';
import { ThinlayerError } from '../../../core/errors.js';

/** As `fromErrno`, with the setting that chooses the disk. */
export function cacheError(error: unknown, op: string, path: string): ThinlayerError {
  const context = { op, path };
  const told = fromErrno(error, context);
  if (!isErrno(error)) return told;
  const message = `${told.message}; the cache is where CVMFS_CACHE_BASE says`;
  return new ThinlayerError(told.code, message, { ...context, cause: error });
}
