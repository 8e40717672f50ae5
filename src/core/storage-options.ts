/** `docker run --storage-opt key=value`: what one container asks of its layers. */

import { ThinlayerError } from './errors.js';
import { parseSize } from './size.js';

/** The project quota in bytes; null if none is asked for. Throws `invalid_argument` for a key other than `size`, or a size that is none. */
export function quotaOf(options: Readonly<Record<string, string>>): number | null {
  const unknown = Object.keys(options).find((key) => key.toLowerCase() !== 'size');
  if (unknown !== undefined) {
    throw new ThinlayerError(
      'invalid_argument',
      `unknown storage option ${JSON.stringify(unknown)} of a container; known is size`,
      { op: 'create' },
    );
  }
  const size = Object.values(options)[0];
  return size === undefined ? null : parseSize(size, '--storage-opt size');
}
