/** tar-stream as an independent reader of the archives we make. */

import { Readable } from 'node:stream';

import * as tar from 'tar-stream';

import type { ByteStream } from '../../src/core/service.js';

export interface ArchiveEntry {
  readonly header: tar.Header;
  readonly content: Buffer;
}

export async function collect(stream: ByteStream): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

export async function readArchive(bytes: Buffer): Promise<ArchiveEntry[]> {
  const extract = tar.extract();
  Readable.from([bytes]).pipe(extract);
  const entries: ArchiveEntry[] = [];
  for await (const entry of extract) {
    const chunks: Buffer[] = [];
    for await (const chunk of entry) chunks.push(chunk as Buffer);
    entries.push({ header: entry.header, content: Buffer.concat(chunks) });
  }
  return entries;
}

export async function namesOf(bytes: Buffer): Promise<string[]> {
  return (await readArchive(bytes)).map(({ header }) => header.name);
}
