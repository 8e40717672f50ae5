/** A part of what a server has (RFC 9110, section 14): chunks of external files are parts of one body. */

import type { ThinlayerError } from '../../../core/errors.js';
import { refusal } from '../refusal.js';

/** Both included. */
export interface ByteRange {
  readonly first: number;
  readonly last: number;
}

interface Answer {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

export function rangeHeader(range: ByteRange | undefined): Record<string, string> {
  return range ? { range: `bytes=${range.first}-${range.last}` } : {};
}

/** Why the answer is not the part that was asked for; null if it is. For the answers 200 and 206 only. */
export function rangeFault(answer: Answer, path: string, range: ByteRange): ThinlayerError | null {
  const { first, last } = range;
  const asked = `${path}: bytes ${first}-${last} were asked for`;
  if (answer.statusCode === 206) {
    const told = String(answer.headers['content-range'] ?? 'no Content-Range');
    const [, from, to] = /^bytes (\d+)-(\d+)\/(?:\d+|\*)$/i.exec(told) ?? [];
    const isRight = Number(from) === first && Number(to) === last;
    return isRight ? null : refusal(`${asked}, and ${told.slice(0, 80)} came`);
  }
  // All of it, from a server that knows no ranges: right if no more was asked for.
  const isWhole = first === 0 && Number(answer.headers['content-length']) === last + 1;
  return isWhole ? null : refusal(`${asked}, and the server ignores ranges: it sends the whole file`);
}
