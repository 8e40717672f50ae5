/** Fields of a 512-byte header block. */

import type { ByteString } from '../../core/tree.js';
import { malformed } from './malformed.js';

const SPACE = 0x20;
const ZERO = 0x30;
const SEVEN = 0x37;

/** Up to the first NUL. */
export function textField(block: Buffer, offset: number, length: number): ByteString {
  const nul = block.indexOf(0, offset);
  const end = nul < 0 || nul > offset + length ? offset + length : nul;
  return block.toString('latin1', offset, end);
}

/** Octal digits, or GNU's base-256 for numbers that do not fit, which may be negative. Blank is 0. */
export function numberField(block: Buffer, offset: number, length: number, what: string): number {
  const value =
    ((block[offset] ?? 0) & 0x80) === 0 ? octal(block, offset, length) : base256(block, offset, length);
  if (Number.isSafeInteger(value)) return value;
  throw malformed(`the ${what} in a header is not a number`);
}

function octal(block: Buffer, offset: number, length: number): number {
  const end = offset + length;
  let at = offset;
  while (at < end && (block[at] === SPACE || block[at] === 0)) at++;
  let value = 0;
  for (; at < end; at++) {
    const digit = block[at] ?? 0;
    if (digit === SPACE || digit === 0) break;
    if (digit < ZERO || digit > SEVEN) return NaN;
    value = value * 8 + (digit - ZERO);
  }
  return value;
}

/** Two's complement, big-endian; the first bit is the mark, the second the sign. */
function base256(block: Buffer, offset: number, length: number): number {
  const first = block[offset] ?? 0;
  const negative = (first & 0x40) !== 0;
  let value = negative ? ~first & 0x3f : first & 0x3f;
  for (let at = offset + 1; at < offset + length; at++) {
    const byte = block[at] ?? 0;
    value = value * 256 + (negative ? 255 - byte : byte);
  }
  return negative ? -value - 1 : value;
}
