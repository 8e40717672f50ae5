/** Headers of hand-made archives, as the reader gives them. */

import assert from 'node:assert/strict';

import type { TarHeader } from '../../src/archive/tar/header.js';
import { readTar } from '../../src/archive/tar/reader.js';
import { chunked, tarEntry, tarOf } from './tar-bytes.js';

export async function headersOf(...entries: readonly Uint8Array[]): Promise<TarHeader[]> {
  const headers: TarHeader[] = [];
  for await (const { header } of readTar(chunked(tarOf(...entries)))) headers.push(header);
  return headers;
}

export async function headerOf(...entries: readonly Uint8Array[]): Promise<TarHeader> {
  const [header] = await headersOf(...entries);
  assert.ok(header);
  return header;
}

function octal(value: number): string {
  return `${value.toString(8).padStart(11, '0')}\0`;
}

/** A sparse file of GNU tar's old format: `body` fills the extents. */
export function oldGnu(extents: readonly (readonly [number, number])[], size: number, body: string): Buffer {
  const inHeader = extents
    .slice(0, 4)
    .map(([o, l]) => octal(o) + octal(l))
    .join('');
  const blocks: Buffer[] = [];
  for (let at = 4; at < extents.length; at += 21) {
    const block = Buffer.alloc(512);
    block.write(
      extents
        .slice(at, at + 21)
        .map(([o, l]) => octal(o) + octal(l))
        .join(''),
      0,
      'latin1',
    );
    block[504] = at + 21 < extents.length ? 1 : 0;
    blocks.push(block);
  }
  const entry = tarEntry({
    name: 'sparse',
    typeflag: 'S',
    magic: 'ustar  \0',
    body,
    patches: [
      [386, inHeader],
      [482, extents.length > 4 ? '\x01' : '\0'],
      [483, octal(size)],
    ],
  });
  return Buffer.concat([entry.subarray(0, 512), ...blocks, entry.subarray(512)]);
}
