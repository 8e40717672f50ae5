/**
 * Parses a tar with tar-stream, which finds the blocks, checks their sums and hands out the contents; this file gives
 * it what it lacks, by methods of its parser that are not public (hence the exact version in package.json, and
 * test/unit/archive/tar-reader.test.ts): headers and PAX records as bytes, not UTF-8 (file capabilities are binary),
 * numbers and times of PAX, GNU's old sparse format, and an error that says where an archive is cut off.
 */

import { extract } from 'tar-stream';
import type { Extract } from 'tar-stream';

import type { ThinlayerError } from '../../core/errors.js';
import { textField } from './fields.js';
import { decodeHeader } from './header.js';
import type { Prelude, TarHeader } from './header.js';
import { asMalformed, malformed } from './malformed.js';
import { decodePax } from './pax.js';
import { hasExtension } from './sparse.js';

/** What is relied on of tar-stream 3.2.2's lib: `extract.js`. */
interface Parser extends Extract {
  readonly _buffer: { readonly buffered: number; shift(size: number): Buffer | null };
  /** Bytes of contents, or of what fills up their last block, that are still to come. */
  readonly _missing: number;
  /** What comes next is the contents of a PAX or GNU header. */
  readonly _longHeader: boolean;
  _header: { type: string | null; size: number } | TarHeader;
  /** Takes a header block from `_buffer`. Blocks of zeros are skipped. False: wait. */
  _consumeHeader(): boolean;
  /** Takes the contents of a PAX or GNU header from `_buffer`. False: they are malformed. */
  _consumeLongHeader(): boolean;
  /** Contents of a PAX or GNU header; `_header.type` tells which. */
  _decodeLongHeader(bytes: Buffer): void;
  /** Last change to `_header`, before the entry is emitted with it. */
  _applyLongHeaders(): void;
  /** What is emitted for the entry in `_header`. */
  _createStream(): ParserEntry;
  _continueWrite(error: Error | null): void;
  /** All that was written is consumed, and no more will come. */
  _final(done: (error: Error | null) => void): void;
  /** No entry comes after the one that is read. */
  _finished: boolean;
  readonly destroying: boolean;
}

export interface ParserEntry extends AsyncIterable<Uint8Array> {
  readonly header: TarHeader;
  on(event: 'error', listener: (error: Error) => void): unknown;
  resume(): unknown;
}

/** An entry without contents: a stream for each would be half the time of a tree of empty files. */
class EmptyEntry implements ParserEntry {
  readonly header: TarHeader;

  constructor(header: TarHeader) {
    this.header = header;
  }

  on(): this {
    return this;
  }

  resume(): this {
    return this;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<never> {}
}

/** The published types lack this option: headers of Unix v7 are tar, too. */
const newParser: (options: { allowUnknownFormat: boolean }) => unknown = extract as (
  options: object,
) => unknown;

const BLOCK = 512;
const ZEROS = Buffer.alloc(BLOCK);
const TYPEFLAG_AT = 156;
const SPARSE = 'S'.charCodeAt(0);
/** Blocks of a sparse file's list, 21 extents each; the same limit as in form 1.0. */
const MAX_EXTENSIONS = 2048;
const NOTHING: Prelude = { pax: [], longName: null, longLink: null, extensions: [] };

/** tar-stream's parser with the methods named above replaced. */
export class TarParser {
  readonly #parser = newParser({ allowUnknownFormat: true }) as Parser;
  #prelude = NOTHING;
  /** A header block and the blocks that belong to it; see `#nextHeader`. */
  #header: Buffer = ZEROS;
  #isHeld = false;
  #wantsHeader = false;
  #ended = false;
  #length = 0;
  #failure: ThinlayerError | null = null;
  #reject: (error: ThinlayerError) => void = () => undefined;
  /** Rejects when `fail` is called, also after the last entry. */
  readonly failed: Promise<never>;

  constructor() {
    this.failed = new Promise((_, reject) => (this.#reject = reject));
    this.failed.catch(() => undefined); // told by entries() too, if somebody still listens
    this.#parser.on('error', () => undefined); // likewise
    this.#replaceMethods();
  }

  entries(): AsyncIterable<ParserEntry> {
    return this.#parser as AsyncIterable<unknown> as AsyncIterable<ParserEntry>;
  }

  /** A stream that was destroyed before its first read tells only that, not why. */
  async *contentsOf(entry: ParserEntry): AsyncGenerator<Uint8Array> {
    try {
      for await (const chunk of entry) yield chunk;
    } catch (error) {
      throw this.#failure ?? asMalformed(error);
    }
  }

  /** No more bytes will come. What was written may still be in front of the parser. */
  end(): void {
    if (!this.#ended) this.#parser.end(undefined);
  }

  fail(error: ThinlayerError): void {
    this.#failure ??= error;
    this.#reject(error);
    this.#parser.destroy(error);
  }

  /** Resolves when more can be taken. */
  async write(chunk: Uint8Array): Promise<void> {
    if (this.#ended) return;
    this.#length += chunk.length;
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    if (this.#parser.write(bytes) || this.#parser.destroying) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        this.#parser.off('drain', done).off('close', done);
        resolve();
      };
      this.#parser.on('drain', done).on('close', done);
    });
  }

  /**
   * Many writers leave out the blocks of zeros behind the last entry. Go's reader, and so Docker, takes the end of the stream for
   * that of the archive; a sender that broke off does not end its stream.
   */
  #endsWithAnEntry(): boolean {
    const { _missing: missing, _buffer: buffer } = this.#parser;
    const isWhole = missing === 0 && buffer.buffered === 0 && !this.#isHeld && this.#prelude === NOTHING;
    return isWhole && this.#length > 0;
  }

  #cutOff(): ThinlayerError {
    return malformed(this.#length === 0 ? 'it is empty' : `it is cut off after ${this.#length} bytes`);
  }

  #replaceMethods(): void {
    const parser = this.#parser;
    const shift = parser._buffer.shift.bind(parser._buffer);
    parser._buffer.shift = (size) => {
      const block = shift(size);
      if (!this.#wantsHeader || block === null) return block;
      this.#wantsHeader = false;
      return this.#nextHeader(block);
    };
    const consumeHeader = parser._consumeHeader.bind(parser);
    parser._consumeHeader = () => {
      this.#wantsHeader = true;
      try {
        return consumeHeader() && this.#passesEmptyLongHeader();
      } catch (error) {
        parser._continueWrite(asMalformed(error));
        return false;
      }
    };
    parser._final = (done) => {
      parser._finished = this.#ended || this.#endsWithAnEntry();
      if (!parser._finished) this.fail(this.#cutOff());
      done(null);
    };
    parser._decodeLongHeader = (bytes) =>
      (this.#prelude = longHeader(this.#prelude, parser._header.type, bytes));
    const createStream = parser._createStream.bind(parser);
    parser._createStream = () => {
      const header = parser._header as TarHeader;
      return header.size === 0 ? new EmptyEntry(header) : createStream();
    };
    parser._applyLongHeaders = () => {
      parser._header = decodeHeader(this.#header, this.#prelude);
      this.#prelude = NOTHING;
    };
  }

  /**
   * tar-stream waits for a byte of each PAX or GNU header's contents: of one that has none (Go writes a global header so) it
   * would take contents of the next entry, and what comes behind.
   */
  #passesEmptyLongHeader(): boolean {
    const { _longHeader: isLong, _missing: missing } = this.#parser;
    if (!isLong || missing > 0) return true;
    if (missing === 0) return this.#parser._consumeLongHeader();
    throw malformed('the size in a PAX or GNU header is not a number of bytes');
  }

  /**
   * The block that the parser shall see as a header. A zero block, which it skips, stands for the end of the archive and
   * all that follows, and for an old GNU sparse header whose list of extents goes on in the blocks behind it: that header
   * is held back until they were read.
   */
  #nextHeader(block: Buffer): Buffer {
    if (this.#ended) return ZEROS;
    if (this.#isHeld) {
      this.#prelude = withExtension(this.#prelude, block);
    } else if (block[0] === 0 && block.equals(ZEROS)) {
      this.#ended = true;
      queueMicrotask(() => this.#parser.destroy());
      return ZEROS;
    } else {
      this.#header = block;
    }
    const isSparse = this.#header[TYPEFLAG_AT] === SPARSE;
    this.#isHeld = isSparse && hasExtension(block, block === this.#header);
    return this.#isHeld ? ZEROS : this.#header;
  }
}

function longHeader(prelude: Prelude, type: string | null, bytes: Buffer): Prelude {
  switch (type) {
    case 'pax-header':
      return { ...prelude, pax: decodePax(bytes) };
    // An empty one says nothing, as in Go's reader.
    case 'gnu-long-path':
      return { ...prelude, longName: textField(bytes, 0, bytes.length) || null };
    case 'gnu-long-link-path':
      return { ...prelude, longLink: textField(bytes, 0, bytes.length) || null };
    case null:
    default:
      return prelude; // PAX global headers: Docker ignores them too
  }
}

function withExtension(prelude: Prelude, block: Buffer): Prelude {
  if (prelude.extensions.length >= MAX_EXTENSIONS) throw malformed('the map of a sparse file does not end');
  return { ...prelude, extensions: [...prelude.extensions, block] };
}
