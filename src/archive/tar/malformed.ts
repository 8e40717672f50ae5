import { ThinlayerError } from '../../core/errors.js';

/** What is wrong with an archive, told to the one who sent it. */
export function malformed(what: string): ThinlayerError {
  return new ThinlayerError('invalid_argument', `the archive cannot be read: ${what}`, { op: 'apply' });
}
