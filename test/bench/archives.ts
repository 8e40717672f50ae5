/** The archives that layers are made of, as streams: none is ever whole in memory. */

import { randomBytes } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { pack } from 'tar-stream';
import type { Pack } from 'tar-stream';

const FILES_PER_FOLDER = 100;
const MTIME = new Date(1_000_000_000_000);

/** One repeated block of random bytes: no file system stores it smaller than it is, and making it costs nothing. */
const BLOCK = randomBytes(1 << 20);

export interface Archive {
  readonly name: string;
  open(): Readable;
}

/** `count` files of `size` bytes, 100 to a folder; files from `first` on. */
export async function manyFiles(
  directory: string,
  name: string,
  count: number,
  size: number,
): Promise<Archive> {
  return stored(directory, name, async (archive) => {
    for (let index = 0; index < count; index++) {
      const folder = `d${Math.floor(index / FILES_PER_FOLDER)}`;
      if (index % FILES_PER_FOLDER === 0) await add(archive, { name: folder, type: 'directory' });
      await add(
        archive,
        { name: `${folder}/f${index}` },
        BLOCK.subarray(index % 4096, (index % 4096) + size),
      );
    }
  });
}

/** One file of `megabytes` MiB. */
export async function oneFile(directory: string, name: string, megabytes: number): Promise<Archive> {
  return stored(directory, name, async (archive) => {
    const entry = archive.entry({ name: 'file', size: megabytes * BLOCK.length, mtime: MTIME });
    await pipeline(Readable.from(repeat(BLOCK, megabytes)), entry);
  });
}

/**
 * A stream of `megabytes` MiB that is never stored: 16 names take turns, each replacing what had its name, so that the
 * layer stays small while the archive is huge.
 */
export function endlessStream(megabytes: number): Readable {
  const archive = pack();
  const fill = async () => {
    for (let index = 0; index < megabytes; index++) await add(archive, { name: `f${index % 16}` }, BLOCK);
    archive.finalize();
  };
  fill().catch((error: Error) => archive.destroy(error));
  return Readable.from(archive, { objectMode: false });
}

async function stored(
  directory: string,
  name: string,
  fill: (archive: Pack) => Promise<void>,
): Promise<Archive> {
  const path = join(directory, `${name}.tar`);
  const archive = pack();
  const written = pipeline(archive, createWriteStream(path, { highWaterMark: 1 << 20 }));
  await fill(archive);
  archive.finalize();
  await written;
  return { name, open: () => createReadStream(path, { highWaterMark: 256 << 10 }) };
}

function add(archive: Pack, header: { name: string; type?: 'directory' }, contents?: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = (error?: Error | null) => (error ? reject(error) : resolve());
    const full = { ...header, mode: header.type === 'directory' ? 0o755 : 0o644, mtime: MTIME };
    if (contents) archive.entry(full, contents, done);
    else archive.entry(full, done);
  });
}

function* repeat(block: Buffer, times: number): Generator<Buffer> {
  for (let count = 0; count < times; count++) yield block;
}
