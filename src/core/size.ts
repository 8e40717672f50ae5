/** Sizes as Docker's users type them. */

import { ThinlayerError } from './errors.js';

const UNITS: Readonly<Record<string, number>> = { '': 0, k: 1, m: 2, g: 3, t: 4, p: 5 };

/** Bytes of `10G`, `512m`, `1.5 TiB`, `4096`: units are powers of 1024, as go-units' RAMInBytes has them. Throws `invalid_argument`. */
export function parseSize(text: string, key: string): number {
  const match = /^(\d+(?:\.\d+)?) ?(?:([kmgtp])i?)?b?$/i.exec(text.trim());
  const bytes = match
    ? Math.floor(Number(match[1]) * 1024 ** (UNITS[(match[2] ?? '').toLowerCase()] ?? 0))
    : NaN;
  if (Number.isSafeInteger(bytes)) return bytes;
  throw new ThinlayerError(
    'invalid_argument',
    `${key}: ${JSON.stringify(text)} is not a size; write a number with one of k, m, g, t, p behind it, like 10G`,
  );
}
