/**
 * Sparse files, in GNU tar's four forms. The archive stores only the extents that hold data; the form says where
 * the list of them is: `oldgnu` in the header block and blocks behind it, 0.0 and 0.1 in PAX records, 1.0 at the
 * start of the contents. (GNU tar's manual, "Storing Sparse Files".)
 */

import { numberField } from './fields.js';
import { malformed } from './malformed.js';
import { decimal } from './pax.js';
import type { PaxRecords } from './pax.js';

export interface Extent {
  readonly offset: number;
  readonly length: number;
}

export interface Sparse {
  /** Of the file, holes included. */
  readonly size: number;
  /** Null: at the start of the contents. */
  readonly extents: readonly Extent[] | null;
}

export interface Segment {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** A list longer than this is an attack: tar writes one extent for 512 bytes at least. */
const MAX_EXTENTS = 1_000_000;
/** Of the list in form 1.0, as in Go's reader, which Docker uses. */
const MAX_MAP_BYTES = 1024 * 1024;

const NEWLINE = 0x0a;
/** More than any number in a map has. */
const MAX_DIGITS = 20;

const BLOCK = 512;
const EXTENT_BYTES = 24;
const HEADER_EXTENTS = { at: 386, count: 4, moreAt: 482 };
const EXTENSION_EXTENTS = { at: 0, count: 21, moreAt: 504 };
const REAL_SIZE_AT = 483;

/** Whether an `oldgnu` header block, or one of the blocks behind it, is followed by one more. */
export function hasExtension(block: Buffer, isHeader: boolean): boolean {
  return block[isHeader ? HEADER_EXTENTS.moreAt : EXTENSION_EXTENTS.moreAt] === 1;
}

export function oldGnuSparse(header: Buffer, extensions: readonly Buffer[]): Sparse {
  const extents = [
    ...extentsIn(header, HEADER_EXTENTS),
    ...extensions.flatMap((block) => extentsIn(block, EXTENSION_EXTENTS)),
  ];
  return checked({ size: numberField(header, REAL_SIZE_AT, 12, 'size of a sparse file'), extents });
}

/** An unused place is blank. */
function extentsIn(block: Buffer, place: { at: number; count: number }): Extent[] {
  const extents: Extent[] = [];
  for (let i = 0; i < place.count; i++) {
    const at = place.at + i * EXTENT_BYTES;
    if (block[at] === 0) break;
    extents.push({
      offset: numberField(block, at, 12, 'extent'),
      length: numberField(block, at + 12, 12, 'extent'),
    });
  }
  return extents;
}

/** Null if the records do not tell of a sparse file. */
export function paxSparse(records: PaxRecords): Sparse | null {
  const value = (key: string): string | undefined => records.findLast(([k]) => k === key)?.[1];
  const size = value('GNU.sparse.realsize') ?? value('GNU.sparse.size');
  if (size === undefined) return null;
  if (value('GNU.sparse.major') === '1') return checked({ size: decimal(size), extents: null });
  const map = value('GNU.sparse.map');
  const numbers = map === undefined ? repeated(records) : map.split(',').filter((n) => n !== '');
  return checked({ size: decimal(size), extents: pairs(numbers.map(decimal)) });
}

function repeated(records: PaxRecords): string[] {
  return records
    .filter(([key]) => key === 'GNU.sparse.offset' || key === 'GNU.sparse.numbytes')
    .map(([, v]) => v);
}

function pairs(numbers: readonly number[]): Extent[] {
  if (numbers.length % 2 !== 0) throw malformed('the map of a sparse file has an odd number of values');
  const extents: Extent[] = [];
  for (let i = 0; i < numbers.length; i += 2) {
    extents.push({ offset: numbers[i] ?? NaN, length: numbers[i + 1] ?? NaN });
  }
  return extents;
}

function checked(sparse: Sparse): Sparse {
  const extents = sparse.extents ?? [];
  let end = 0;
  for (const { offset, length } of extents) {
    if (!(offset >= end && length >= 0))
      throw malformed('the extents of a sparse file overlap, or are no numbers');
    end = offset + length;
  }
  if (extents.length <= MAX_EXTENTS && sparse.size >= end) return sparse;
  throw malformed(`a sparse file has ${extents.length} extents, up to byte ${end} of ${sparse.size}`);
}

/** Contents as the archive stores them, put in their places. */
export async function* segmentsOf(
  sparse: Sparse | null,
  body: AsyncIterable<Uint8Array>,
): AsyncGenerator<Segment> {
  if (sparse === null) {
    let offset = 0;
    for await (const bytes of body) {
      yield { offset, bytes };
      offset += bytes.length;
    }
    return;
  }
  let placer = sparse.extents && new Placer(sparse.extents);
  const map = new MapReader();
  for await (const bytes of body) {
    if (placer) {
      yield* placer.place(bytes);
      continue;
    }
    const read = map.read(bytes);
    if (read === null) continue;
    placer = new Placer(checked({ size: sparse.size, extents: read.extents }).extents ?? []);
    yield* placer.place(read.rest);
  }
  if (!placer?.isFull()) throw malformed('a sparse file has fewer bytes than its map');
}

/**
 * Form 1.0: decimal numbers, each on a line, the first one how many extents follow; padded to a block. Each byte is
 * looked at once: how many chunks it comes in is the sender's choice.
 */
class MapReader {
  readonly #numbers: number[] = [];
  #unread = Buffer.alloc(0);
  /** Bytes read. */
  #length = 0;

  /** The extents, and what of the bytes is behind the map. Null: it is not all there yet. */
  read(bytes: Uint8Array): { extents: Extent[]; rest: Buffer } | null {
    this.#unread = Buffer.concat([this.#unread, bytes]);
    while (!this.#isWhole()) {
      const end = this.#unread.indexOf(NEWLINE);
      if (end < 0) return this.#incomplete();
      this.#numbers.push(decimal(this.#unread.toString('latin1', 0, Math.min(end, MAX_DIGITS))));
      this.#skip(end + 1);
    }
    const padding = (BLOCK - (this.#length % BLOCK)) % BLOCK;
    if (this.#unread.length < padding) return null;
    return { extents: pairs(this.#numbers.slice(1)), rest: this.#unread.subarray(padding) };
  }

  #isWhole(): boolean {
    const [count] = this.#numbers;
    if (count === undefined) return false;
    if (!(count <= MAX_EXTENTS)) throw malformed('the map of a sparse file is not one');
    return this.#numbers.length === 1 + 2 * count;
  }

  #skip(length: number): void {
    this.#length += length;
    this.#unread = this.#unread.subarray(length);
  }

  #incomplete(): null {
    if (this.#length > MAX_MAP_BYTES || this.#unread.length > MAX_DIGITS)
      throw malformed('the map of a sparse file does not end');
    return null;
  }
}

/** Hands out stored bytes to extents, in order. */
class Placer {
  readonly #extents: readonly Extent[];
  #next = 0;
  /** Bytes of the extent `#next` that are there. */
  #done = 0;

  constructor(extents: readonly Extent[]) {
    this.#extents = extents.filter((e) => e.length > 0);
  }

  *place(bytes: Uint8Array): Generator<Segment> {
    for (let at = 0; at < bytes.length;) {
      const extent = this.#extents[this.#next];
      if (extent === undefined) throw malformed('a sparse file has more bytes than its map');
      const length = Math.min(bytes.length - at, extent.length - this.#done);
      yield { offset: extent.offset + this.#done, bytes: bytes.subarray(at, at + length) };
      at += length;
      this.#done += length;
      if (this.#done < extent.length) return;
      this.#next++;
      this.#done = 0;
    }
  }

  isFull(): boolean {
    return this.#next === this.#extents.length;
  }
}
