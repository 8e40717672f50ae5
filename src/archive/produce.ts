/** From directory trees to archives: the reader lays the contents out, we write the headers into its memory. */

import type { IdMaps } from '../core/model.js';
import type { ProduceOptions } from '../core/ports.js';
import type { ByteStream } from '../core/service.js';
import type { ByteString, TreeBatch, TreeReader } from '../core/tree.js';
import { deletion, headersOf } from './entry-headers.js';
import { BLOCK, extendedRecords, headerBytes, writeHeader } from './tar-header.js';
import type { TarHeader } from './tar-header.js';

const END_OF_ARCHIVE = 2 * BLOCK;
const DELETIONS_A_CHUNK = 256;

/** See Archive.produce. */
export async function* produce(reader: TreeReader, diff: string, options: ProduceOptions): ByteStream {
  for await (const batch of reader.read(diff, options)) yield* encodeBatch(batch, options.idMaps);
  yield Buffer.alloc(END_OF_ARCHIVE);
}

/** See Archive.produceBetween. Deletions come last, when the directories they are in are there. */
export async function* produceBetween(
  reader: TreeReader,
  newer: string,
  older: string | null,
  options: ProduceOptions,
): ByteStream {
  if (older === null) return yield* produce(reader, newer, options);
  const { changes } = await reader.compareTrees(newer, older, options);
  const paths = (deleted: boolean) =>
    changes.filter(({ kind }) => (kind === 'deleted') === deleted).map(({ path }) => path.slice(1));
  for await (const batch of reader.read(newer, { ...options, only: paths(false) })) {
    yield* encodeBatch(batch, options.idMaps);
  }
  yield* encodeDeletions(paths(true));
  yield Buffer.alloc(END_OF_ARCHIVE);
}

function* encodeDeletions(paths: readonly ByteString[]): Iterable<Buffer> {
  for (let at = 0; at < paths.length; at += DELETIONS_A_CHUNK) {
    const headers = paths
      .slice(at, at + DELETIONS_A_CHUNK)
      .map(deletion)
      .map(withRecords);
    yield writeAll(Buffer.alloc(totalBytes(headers)), 0, headers);
  }
}

/** The batch's memory, cut where headers take less or more than their slot. */
function encodeBatch({ data, entries }: TreeBatch, idMaps: IdMaps): Buffer[] {
  const pieces: Buffer[] = [];
  let start = 0;
  for (const entry of entries) {
    const headers = headersOf(entry, idMaps).map(withRecords);
    const bytes = totalBytes(headers);
    const end = entry.slot + entry.slotSize;
    if (bytes <= entry.slotSize) writeAll(data, end - bytes, headers);
    if (bytes === entry.slotSize) continue;
    pieces.push(data.subarray(start, entry.slot));
    if (bytes > entry.slotSize) pieces.push(writeAll(Buffer.alloc(bytes), 0, headers));
    start = bytes > entry.slotSize ? end : end - bytes;
  }
  pieces.push(data.subarray(start));
  return pieces.filter((piece) => piece.length > 0);
}

interface Prepared {
  readonly header: TarHeader;
  readonly records: ByteString;
}

function withRecords(header: TarHeader): Prepared {
  return { header, records: extendedRecords(header) };
}

function totalBytes(headers: readonly Prepared[]): number {
  return headers.reduce((sum, { records }) => sum + headerBytes(records), 0);
}

/** `to` holds zeros from `start` on. */
function writeAll(to: Buffer, start: number, headers: readonly Prepared[]): Buffer {
  let at = start;
  for (const { header, records } of headers) {
    writeHeader(to, at, header, records);
    at += headerBytes(records);
  }
  return to;
}
