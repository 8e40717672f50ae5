/** From blocks to entries: headers with what stands before and behind them, and the contents between. */

import { numberField, octal, textField } from './fields.js';
import { decodeHeader } from './header.js';
import type { Prelude, TarHeader } from './header.js';
import type { TarInput } from './input.js';
import { malformed } from './malformed.js';
import { decodePax } from './pax.js';
import { hasExtension } from './sparse.js';

export interface TarEntry {
  readonly header: TarHeader;
  /** To be read before the next entry is asked for; what is left then is skipped. A chunk is good until the next one is asked for. */
  readonly body: AsyncIterable<Uint8Array>;
}

const BLOCK = 512;
const ZEROS = Buffer.alloc(BLOCK);
const TYPEFLAG_AT = 156;
const SUM = { at: 148, length: 8 };
/** Of a long name or PAX header; far more than any writer needs. */
const MAX_PRELUDE = 4 * 1024 * 1024;
/** Blocks of a sparse file's list, 21 extents each; the same limit as in form 1.0. */
const MAX_EXTENSIONS = 2048;
const NOTHING: Prelude = { pax: [], longName: null, longLink: null, extensions: [] };

/** What stands before a header and belongs to it, by its own type. */
const PRELUDES: Readonly<Record<string, (prelude: Prelude, bytes: Buffer) => Prelude>> = {
  x: (prelude, bytes) => ({ ...prelude, pax: decodePax(bytes) }),
  g: (prelude) => prelude, // PAX global headers: Docker ignores them too
  L: (prelude, bytes) => ({ ...prelude, longName: textField(bytes, 0, bytes.length) }),
  N: (prelude, bytes) => ({ ...prelude, longName: textField(bytes, 0, bytes.length) }),
  K: (prelude, bytes) => ({ ...prelude, longLink: textField(bytes, 0, bytes.length) }),
};

export class TarParser {
  readonly #input: TarInput;
  #contents: Contents | null = null;

  constructor(input: TarInput) {
    this.#input = input;
  }

  /** Null at the end of the archive. */
  async next(): Promise<TarEntry | null> {
    await this.#contents?.skip();
    this.#contents = null;
    for (let prelude = NOTHING; ;) {
      const block: Buffer = this.#input.ready(BLOCK) ?? (await this.#input.gather(BLOCK));
      if (block[0] === 0 && block.equals(ZEROS)) return null;
      checkSum(block);
      const add = PRELUDES[block.toString('latin1', TYPEFLAG_AT, TYPEFLAG_AT + 1)];
      if (!add) return this.#entry(await this.#header(block, prelude));
      prelude = add(prelude, await this.#prelude(sizeOf(block)));
    }
  }

  async #prelude(size: number): Promise<Buffer> {
    if (!(size >= 0 && size <= MAX_PRELUDE))
      throw malformed(`a long name or PAX header has ${size} bytes, ${MAX_PRELUDE} at most are possible`);
    const bytes = await this.#input.gather(size);
    await this.#input.skip(paddingOf(size));
    return bytes;
  }

  /** The list of an old GNU sparse file goes on in blocks behind the header. */
  async #header(block: Buffer, prelude: Prelude): Promise<TarHeader> {
    if (block[TYPEFLAG_AT] !== 'S'.charCodeAt(0)) return decodeHeader(block, prelude);
    const header = Buffer.from(block);
    const extensions: Buffer[] = [];
    for (let last: Buffer = header; hasExtension(last, last === header);) {
      if (extensions.length >= MAX_EXTENSIONS) throw malformed('the map of a sparse file does not end');
      last = await this.#input.gather(BLOCK);
      extensions.push(last);
    }
    return decodeHeader(header, { ...prelude, extensions });
  }

  #entry(header: TarHeader): TarEntry {
    const body = new Contents(this.#input, header.size);
    if (header.size > 0) this.#contents = body;
    return { header, body };
  }
}

class Contents implements AsyncIterable<Uint8Array> {
  readonly #input: TarInput;
  readonly #padding: number;
  #left: number;

  constructor(input: TarInput, size: number) {
    this.#input = input;
    this.#left = size;
    this.#padding = paddingOf(size);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    while (this.#left > 0) {
      const bytes = this.#input.take(this.#left);
      this.#left -= bytes?.length ?? 0;
      if (bytes) yield bytes;
      else await this.#input.need();
    }
  }

  /** What was not read, to the next block. */
  async skip(): Promise<void> {
    const left = this.#left;
    this.#left = 0;
    await this.#input.skip(left);
    await this.#input.skip(this.#padding);
  }
}

function sizeOf(block: Buffer): number {
  return numberField(block, 124, 12, 'size');
}

/** The bytes of the header, those of the sum itself counted as spaces. */
function checkSum(block: Buffer): void {
  let sum = SUM.length * 0x20;
  for (let at = 0; at < BLOCK; at++) sum += block[at] ?? 0;
  for (let at = SUM.at; at < SUM.at + SUM.length; at++) sum -= block[at] ?? 0;
  if (sum === octal(block, SUM.at, SUM.length)) return;
  throw malformed('a header has a wrong sum: it is damaged, or no tar, or compressed');
}

function paddingOf(size: number): number {
  return (BLOCK - (size % BLOCK)) % BLOCK;
}
