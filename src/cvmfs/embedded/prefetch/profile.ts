/**
 * What was read when an image started, in order: a text of one line an object, `thinlayer-profile 1` before them. Whoever
 * has the file can fetch ahead; nothing in it is believed but names of objects, whose contents prove themselves.
 */

import { ThinlayerError } from '../../../core/errors.js';
import { isObjectPath } from '../object-id.js';

export interface ProfiledObject {
  /** As objectPath has it. */
  readonly object: string;
  /** Uncompressed bytes: more are refused. */
  readonly size: number;
  /** As the server stores it. */
  readonly compressed: boolean;
}

/** A start that reads more is one that reads everything, which is no faster for being foretold. */
export const MAX_OBJECTS = 4096;
export const MAX_BYTES = 256 * 1024 * 1024;

const HEADER = 'thinlayer-profile 1';
const LINE = /^(\S{41,60}) ([1-9][0-9]{0,9}) (zlib|plain)$/;

export function formatProfile(objects: readonly ProfiledObject[]): string {
  const lines = objects.map(
    ({ object, size, compressed }) => `${object} ${size} ${compressed ? 'zlib' : 'plain'}`,
  );
  return [HEADER, ...lines, ''].join('\n');
}

/** Throws `data_loss` for what was not written by `formatProfile`. */
export function parseProfile(text: string): ProfiledObject[] {
  const [header, ...lines] = text.split('\n');
  if (header !== HEADER) throw malformed(1, `it does not begin with ${JSON.stringify(HEADER)}`);
  if (lines.pop() !== '') throw malformed(lines.length + 2, 'its last line has no end');
  if (lines.length > MAX_OBJECTS) throw malformed(MAX_OBJECTS + 2, `more than ${MAX_OBJECTS} objects`);
  const objects = lines.map((line, index) => parseLine(line, index + 2));
  const bytes = objects.reduce((sum, { size }) => sum + size, 0);
  if (bytes > MAX_BYTES)
    throw malformed(lines.length + 1, `objects of more than ${MAX_BYTES} bytes together`);
  return objects;
}

/** The first of them that a profile may hold, each once. */
export function boundProfile(objects: Iterable<ProfiledObject>): ProfiledObject[] {
  const kept = new Map<string, ProfiledObject>();
  let bytes = 0;
  for (const each of objects) {
    if (kept.has(each.object) || each.size === 0 || bytes + each.size > MAX_BYTES) continue;
    if (kept.size === MAX_OBJECTS) break;
    kept.set(each.object, each);
    bytes += each.size;
  }
  return [...kept.values()];
}

function parseLine(line: string, number: number): ProfiledObject {
  const [, object = '', size = '', encoding] = LINE.exec(line) ?? [];
  if (!isObjectPath(object)) throw malformed(number, 'not an object, its size, and zlib or plain');
  return { object, size: Number(size), compressed: encoding === 'zlib' };
}

function malformed(line: number, what: string): ThinlayerError {
  return new ThinlayerError('data_loss', `not a profile: line ${line}: ${what}`, { op: 'read' });
}
