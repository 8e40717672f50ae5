/**
 * An object's name is the hash of its compressed bytes, which the cache does not keep: whether the file is still what
 * was once verified, the name cannot tell. So the size and CRC-32 of its decompressed content are appended to one file,
 * `checksums`, before the object gets its name: `b6/c1…9eP 48.0d4a1185`. One small append costs next to nothing, where
 * a file or link beside each object costs an inode (more than half a millisecond on a busy ext4); extended attributes
 * are not there on every file system. Appends of several processes do not mix (O_APPEND), and since the content follows
 * from the name, two lines of one object say the same. A line that a power cut or a full disk cut short counts as missing;
 * each begins with a line feed of its own, so that it takes no other one along.
 *
 * CRC-32 finds what disks and power cuts do. Against those who can write here nothing beside the files could help.
 */

import { randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { appendFile, open, rename, writeFile } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';

import { statIfThere } from './layout.js';

const LINE = /^([0-9a-f]{2}\/[0-9a-zA-Z-]{38,48}(?:\.raw)?) (\d{1,16}\.[0-9a-f]{8})$/;
/** Of the newest lines all are kept: their objects may be just about to get their names. */
const NEWEST = 1000;
/** Not worth rewriting. */
const SMALL_BYTES = 1024 * 1024;
/** Of a line, about. */
const LINE_BYTES = 64;

/** Of content that arrives piece by piece. */
export class Checksum {
  #size = 0;
  #crc = 0;

  add(chunk: Buffer): void {
    this.#size += chunk.length;
    this.#crc = crc32(chunk, this.#crc);
  }

  get size(): number {
    return this.#size;
  }

  toString(): string {
    return `${this.#size}.${this.#crc.toString(16).padStart(8, '0')}`;
  }
}

export async function checksumOf(file: string): Promise<string> {
  const checksum = new Checksum();
  for await (const chunk of createReadStream(file, { highWaterMark: 256 * 1024 }))
    checksum.add(chunk as Buffer);
  return String(checksum);
}

export function checksumsPath(directory: string): string {
  return join(directory, 'checksums');
}

export function checksumLine(object: string, checksum: Checksum): string {
  return `\n${object} ${String(checksum)}\n`;
}

/** Of these objects; those without one are left out. */
export async function readChecksums(
  directory: string,
  of: ReadonlySet<string>,
): Promise<Map<string, string>> {
  const file = await open(checksumsPath(directory), 'a+', 0o600);
  try {
    const found = new Map<string, string>();
    for await (const [object, checksum] of pairs(file)) if (of.has(object)) found.set(object, checksum);
    return found;
  } finally {
    await file.close();
  }
}

/** Whether most of the lines are of objects that went, if there are so many as that. */
export async function hasManyOfGone(directory: string, objects: number): Promise<boolean> {
  const stats = await statIfThere(checksumsPath(directory));
  return stats !== null && stats.size > SMALL_BYTES + 4 * LINE_BYTES * objects;
}

/** Leaves out the lines of all others than these objects. */
export async function compactChecksums(directory: string, objects: ReadonlySet<string>): Promise<void> {
  const path = checksumsPath(directory);
  const file = await open(path, 'a+', 0o600);
  try {
    const draft = join(directory, 'txn', `checksums.${randomBytes(8).toString('hex')}`);
    await writeFile(draft, text(await worthKeeping(file, objects)), { mode: 0o600 });
    await rename(draft, path);
    // What others appended meanwhile: reading goes on where it ended.
    const late = new Map<string, string>();
    for await (const [object, checksum] of pairs(file)) late.set(object, checksum);
    await appendFile(path, text(late));
  } finally {
    await file.close();
  }
}

async function worthKeeping(file: FileHandle, objects: ReadonlySet<string>): Promise<Map<string, string>> {
  const kept = new Map<string, string>();
  let newest: [string, string][] = [];
  for await (const pair of pairs(file)) {
    if (objects.has(pair[0])) kept.set(...pair);
    newest.push(pair);
    if (newest.length === 2 * NEWEST) newest = newest.slice(NEWEST);
  }
  for (const pair of newest.slice(-NEWEST)) kept.set(...pair);
  return kept;
}

/** From where the file stands, to its end, which may be far: it is never in memory as a whole. */
async function* pairs(file: FileHandle): AsyncGenerator<[string, string]> {
  let begun = '';
  for await (const chunk of file.createReadStream({ encoding: 'latin1', autoClose: false })) {
    const lines = `${begun}${chunk as string}`.split('\n');
    begun = lines.pop() ?? '';
    for (const line of lines) yield* pairIn(line);
  }
  yield* pairIn(begun);
}

function pairIn(line: string): [string, string][] {
  const [, object, checksum] = LINE.exec(line) ?? [];
  return object !== undefined && checksum !== undefined ? [[object, checksum]] : [];
}

function text(lines: ReadonlyMap<string, string>): string {
  return Array.from(lines, ([object, checksum]) => `${object} ${checksum}\n`).join('');
}
