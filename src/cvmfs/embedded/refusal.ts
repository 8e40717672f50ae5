/** What cannot be trusted. */

import { ThinlayerError } from '../../core/errors.js';

/**
 * A failed verification: `data_loss` with the op `verify`. The op sets it apart from damage of our own disk, for which
 * no server is to blame.
 */
export function refusal(message: string, cause?: unknown): ThinlayerError {
  return new ThinlayerError('data_loss', message, { op: 'verify', cause });
}

export function isRefusal(error: unknown): error is ThinlayerError {
  return error instanceof ThinlayerError && error.code === 'data_loss' && error.op === 'verify';
}

/** `path`: of an object; `reason`: what zlib says. */
export function notWhole(path: string, reason: string, cause?: unknown): ThinlayerError {
  return refusal(`${path} is not a whole zlib stream: ${reason}`, cause);
}
