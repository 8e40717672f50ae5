/** The table that native/tree_walk.cc writes beside a batch: for each entry fourteen doubles, then bytes, padded to eight. */

import type { ByteString, TreeEntry } from '../core/tree.js';

/** In the order of TreeWalk::Emit. */
const FIELDS = 14;
const DOUBLE = 8;

export function decodeEntries(table: ArrayBuffer): TreeEntry[] {
  const numbers = new Float64Array(table, 0, Math.floor(table.byteLength / DOUBLE));
  const bytes = Buffer.from(table);
  const entries: TreeEntry[] = [];
  for (let at = 0; at < numbers.length;) {
    const text = (at + FIELDS) * DOUBLE;
    const pathEnd = text + number(numbers, at + 11);
    const linkEnd = pathEnd + number(numbers, at + 12);
    const end = linkEnd + number(numbers, at + 13);
    entries.push({
      slot: number(numbers, at),
      slotSize: number(numbers, at + 1),
      mode: number(numbers, at + 2),
      uid: number(numbers, at + 3),
      gid: number(numbers, at + 4),
      size: number(numbers, at + 5),
      mtimeSeconds: number(numbers, at + 6),
      mtimeNanoseconds: number(numbers, at + 7),
      major: number(numbers, at + 8),
      minor: number(numbers, at + 9),
      isHardLink: number(numbers, at + 10) === 1,
      path: bytes.toString('latin1', text, pathEnd),
      link: linkEnd === pathEnd ? '' : bytes.toString('latin1', pathEnd, linkEnd),
      xattrs: end === linkEnd ? NONE : decodeXattrs(bytes, linkEnd, end),
    });
    at = Math.ceil(end / DOUBLE);
  }
  return entries;
}

const NONE: TreeEntry['xattrs'] = [];

function number(numbers: Float64Array, at: number): number {
  return numbers[at] ?? 0;
}

/** For each: length of the name, of the value (32 bits each, in the machine's order, which is little-endian), both. */
function decodeXattrs(bytes: Buffer, start: number, end: number): TreeEntry['xattrs'] {
  const xattrs: [ByteString, ByteString][] = [];
  for (let at = start; at < end;) {
    const name = at + 8;
    const value = name + bytes.readUInt32LE(at);
    const next = value + bytes.readUInt32LE(at + 4);
    xattrs.push([bytes.toString('latin1', name, value), bytes.toString('latin1', value, next)]);
    at = next;
  }
  return xattrs;
}
