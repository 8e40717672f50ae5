/** The entries of a tar that comes as a stream. */

import { ThinlayerError } from '../../core/errors.js';
import type { ByteStream } from '../../core/service.js';
import type { TarHeader } from './header.js';
import { asMalformed } from './malformed.js';
import { TarParser } from './parser.js';

export interface TarEntry {
  readonly header: TarHeader;
  /** To be read before the next entry is asked for; what is left then is skipped. */
  readonly body: AsyncIterable<Uint8Array>;
}

/**
 * Each entry, in order. Rejects with `invalid_argument` if the archive is empty, malformed or cut off inside an entry,
 * with `aborted` if `signal` aborts or `source` fails. Bytes after the end, a block of zeros, are
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
      yield { header: entry.header, body: parser.contentsOf(entry) };
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

function cancelled(signal: AbortSignal | undefined): ThinlayerError {
  return new ThinlayerError('aborted', 'unpacking was cancelled by its caller', {
    op: 'apply',
    cause: signal?.reason,
  });
}

/** Moves a source into the parser. */
class Feed {
  readonly #source: AsyncIterator<Uint8Array>;
  readonly #parser: TarParser;
  /** The source has ended, or was returned. */
  #done = false;

  constructor(source: ByteStream, parser: TarParser) {
    this.#source = source[Symbol.asyncIterator]();
    this.#parser = parser;
  }

  /** Never rejects: failures are the parser's. */
  async run(): Promise<void> {
    try {
      for (;;) {
        const step = await this.#source.next();
        if (this.#done) return;
        if (step.done === true) break;
        await this.#parser.write(step.value);
      }
      this.#done = true;
      this.#parser.end();
    } catch (error) {
      this.#done = true;
      this.#parser.fail(senderFailed(error));
    }
  }

  /** Not waited for: a source whose sender is silent answers when that connection ends. */
  stop(): void {
    if (this.#done) return;
    this.#done = true;
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
