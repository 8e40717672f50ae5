/**
 * Entries of a tar stream. tar-stream finds the blocks, checks their sums and hands out the contents; this file gives
 * it what it lacks, by four methods of its parser that are not public (hence the exact version in package.json, and
 * test/unit/archive/tar-reader.test.ts): headers and PAX records as bytes, not UTF-8 (file capabilities are binary),
 * numbers and times of PAX, GNU's old sparse format, and the demand that an archive has an end.
 */

import { extract } from 'tar-stream';
import type { Extract } from 'tar-stream';

import { ThinlayerError } from '../../core/errors.js';
import type { ByteStream } from '../../core/service.js';
import { textField } from './fields.js';
import { decodeHeader } from './header.js';
import type { Prelude, TarHeader } from './header.js';
import { malformed } from './malformed.js';
import { decodePax } from './pax.js';
import { hasExtension } from './sparse.js';

export interface TarEntry {
  readonly header: TarHeader;
  /** To be read before the next entry is asked for; what is left then is skipped. */
  readonly body: AsyncIterable<Uint8Array>;
}

/** What is relied on of tar-stream 3.2.2's lib: `extract.js`. */
interface Parser extends Extract {
  readonly _buffer: { shift(size: number): Buffer | null };
  _header: { type: string | null; size: number } | TarHeader;
  /** Takes a header block from `_buffer`. Blocks of zeros are skipped. False: wait. */
  _consumeHeader(): boolean;
  /** Contents of a PAX or GNU header; `_header.type` tells which. */
  _decodeLongHeader(bytes: Buffer): void;
  /** Last change to `_header`, before the entry is emitted with it. */
  _applyLongHeaders(): void;
  _continueWrite(error: Error | null): void;
  readonly destroying: boolean;
}

interface ParserEntry extends AsyncIterable<Uint8Array> {
  readonly header: TarHeader;
  resume(): void;
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

/**
 * Each entry, in order. Rejects with `invalid_argument` if the archive is empty, malformed or cut off (the zero block
 * after the last entry is missing), with `aborted` if `signal` aborts or `source` fails. Bytes after the end are
 * read and ignored. However it ends, the iteration of `source` is finished, or `return` was called on it.
 */
export async function* readTar(source: ByteStream, signal?: AbortSignal): AsyncGenerator<TarEntry> {
  const parser = new TarParser();
  const feed = new Feed(source, parser);
  const onAbort = (): void => parser.fail(cancelled(signal));
  signal?.addEventListener('abort', onAbort);
  try {
    if (signal?.aborted) throw cancelled(signal);
    const fed = feed.run();
    for await (const entry of parser.entries()) {
      yield { header: entry.header, body: entry };
      if (entry.header.size > 0) entry.resume();
    }
    await Promise.race([fed, parser.failed]);
  } catch (error) {
    throw asMalformed(error);
  } finally {
    signal?.removeEventListener('abort', onAbort);
    feed.stop();
  }
}

function asMalformed(error: unknown): ThinlayerError {
  if (error instanceof ThinlayerError) return error;
  return malformed(error instanceof Error ? error.message : String(error), error);
}

function cancelled(signal: AbortSignal | undefined): ThinlayerError {
  return new ThinlayerError('aborted', 'unpacking was cancelled by its caller', {
    op: 'apply',
    cause: signal?.reason,
  });
}

/** tar-stream's parser with the methods named above replaced. */
class TarParser {
  readonly #parser = newParser({ allowUnknownFormat: true }) as Parser;
  #prelude = NOTHING;
  /** A header block and the blocks that belong to it; see `#nextHeader`. */
  #header: Buffer = ZEROS;
  #isHeld = false;
  #wantsHeader = false;
  #ended = false;
  #reject: (error: ThinlayerError) => void = () => undefined;
  /** Rejects when `fail` is called, also after the last entry. */
  readonly failed: Promise<never>;

  constructor() {
    this.failed = new Promise((_, reject) => (this.#reject = reject));
    this.failed.catch(() => undefined); // told by entries() too, if somebody still listens
    this.#parser.on('error', () => undefined); // likewise
    this.#replaceMethods();
  }

  get ended(): boolean {
    return this.#ended;
  }

  entries(): AsyncIterable<ParserEntry> {
    return this.#parser as AsyncIterable<unknown> as AsyncIterable<ParserEntry>;
  }

  fail(error: ThinlayerError): void {
    this.#reject(error);
    this.#parser.destroy(error);
  }

  /** Resolves when more can be taken. */
  async write(chunk: Uint8Array): Promise<void> {
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
        return consumeHeader();
      } catch (error) {
        parser._continueWrite(asMalformed(error));
        return false;
      }
    };
    parser._decodeLongHeader = (bytes) =>
      (this.#prelude = longHeader(this.#prelude, parser._header.type, bytes));
    parser._applyLongHeaders = () => {
      parser._header = decodeHeader(this.#header, this.#prelude);
      this.#prelude = NOTHING;
    };
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
    case 'gnu-long-path':
      return { ...prelude, longName: textField(bytes, 0, bytes.length) };
    case 'gnu-long-link-path':
      return { ...prelude, longLink: textField(bytes, 0, bytes.length) };
    case null:
    default:
      return prelude; // PAX global headers: Docker ignores them too
  }
}

function withExtension(prelude: Prelude, block: Buffer): Prelude {
  if (prelude.extensions.length >= MAX_EXTENSIONS) throw malformed('the map of a sparse file does not end');
  return { ...prelude, extensions: [...prelude.extensions, block] };
}

/** Moves a source into the parser. */
class Feed {
  readonly #source: AsyncIterator<Uint8Array>;
  readonly #parser: TarParser;
  #stopped = false;

  constructor(source: ByteStream, parser: TarParser) {
    this.#source = source[Symbol.asyncIterator]();
    this.#parser = parser;
  }

  /** Never rejects: failures are the parser's. */
  async run(): Promise<void> {
    try {
      const length = await this.#pump();
      if (this.#stopped || this.#parser.ended) return;
      this.#parser.fail(
        length === 0 ? malformed('it is empty') : malformed(`it is cut off after ${length} bytes`),
      );
    } catch (error) {
      this.#parser.fail(senderFailed(error));
    }
  }

  async #pump(): Promise<number> {
    for (let length = 0; ;) {
      const step = await this.#source.next();
      if (this.#stopped) return length;
      if (step.done === true) {
        this.#stopped = true;
        return length;
      }
      length += step.value.length;
      if (!this.#parser.ended) await this.#parser.write(step.value);
    }
  }

  /** Not waited for: a source whose sender is silent answers when that connection ends. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    Promise.resolve(this.#source.return?.()).catch(() => undefined); // nothing depends on it any more
  }
}

function senderFailed(error: unknown): ThinlayerError {
  if (error instanceof ThinlayerError) return error;
  const reason = error instanceof Error ? error.message : String(error);
  return new ThinlayerError('aborted', `the archive was not sent whole: ${reason}`, {
    op: 'apply',
    cause: error,
  });
}
