/** Small archives, as bytes: the layers that the tests apply. */

import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { extract, pack } from 'tar-stream';
import type { Header, Pack } from 'tar-stream';

const MTIME = new Date(1_000_000_000_000);

export interface Entry extends Partial<Header> {
  readonly name: string;
  /** Bytes of a regular file; a directory's name ends with a slash. */
  readonly contents?: string | Buffer;
}

export function archiveOf(entries: readonly Entry[]): Promise<Buffer> {
  const archive = pack();
  const bytes = buffer(archive);
  for (const entry of entries) add(archive, entry);
  archive.finalize();
  return bytes;
}

/** `count` files in directories of a hundred, whose contents tell `mark`, and a symlink, a hard link and a FIFO. */
export function manyFiles(mark: string, count: number): Promise<Buffer> {
  const files: Entry[] = [];
  for (let index = 0; index < count; index++) {
    const folder = `d${Math.floor(index / 100)}`;
    if (index % 100 === 0) files.push({ name: `${folder}/` });
    files.push({ name: `${folder}/f${index}`, contents: `${mark} ${index}\n`.repeat(1 + (index % 50)) });
  }
  return archiveOf([
    { name: 'mark', contents: mark },
    ...files,
    { name: 'symlink', type: 'symlink', linkname: 'mark' },
    { name: 'hardlink', type: 'link', linkname: 'mark' },
    { name: 'fifo', type: 'fifo', mode: 0o600 },
  ]);
}

function add(archive: Pack, { contents, ...header }: Entry): void {
  const isDirectory = header.name.endsWith('/');
  const type = header.type ?? (isDirectory ? 'directory' : 'file');
  archive.entry({ mode: isDirectory ? 0o755 : 0o644, mtime: MTIME, ...header, type }, contents ?? '');
}

/** The regular files of an archive by name; rejects for one that is cut or damaged. */
export async function contentsOf(archive: Buffer | Readable): Promise<Map<string, Buffer>> {
  const files = new Map<string, Buffer>();
  for await (const { header, contents } of entriesOf(archive)) {
    if (header.type === 'file') files.set(header.name, contents);
  }
  return files;
}

/** What it is made of; rejects for one that is cut or damaged. */
export async function* entriesOf(
  archive: Buffer | Readable,
): AsyncGenerator<{ readonly header: Header; readonly contents: Buffer }> {
  const source = Buffer.isBuffer(archive) ? Readable.from([archive]) : archive;
  const entries = extract();
  source.on('error', (error: Error) => entries.destroy(error));
  source.pipe(entries);
  for await (const entry of entries) yield { header: entry.header, contents: await buffer(entry) };
}
