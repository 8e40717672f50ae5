/** Inflates a large object on its way into the cache. */

import { isErrno } from '../../../core/errno.js';
import { loadCvmfsAddon } from '../addon.js';
import { notWhole } from '../refusal.js';
import { KEPT_BYTES } from '../sink.js';
import type { Sink } from '../sink.js';

/** More than a sink keeps: it is used again. */
const INTO_BYTES = 2 * KEPT_BYTES;

export class InflatingSink implements Sink {
  readonly #path: string;
  readonly #sink: Sink;
  readonly #inflater = new (loadCvmfsAddon().Inflater)();
  readonly #into = Buffer.allocUnsafeSlow(INTO_BYTES);
  #filled = 0;

  /** `path`: of the object, for messages. */
  constructor(path: string, sink: Sink) {
    this.#path = path;
    this.#sink = sink;
  }

  async write(chunk: Buffer): Promise<void> {
    await this.#inflate(chunk);
    while (this.#filled === INTO_BYTES) {
      await this.#flush();
      await this.#inflate(null);
    }
  }

  /** Throws a refusal if that is no whole stream. Answers how many bytes came after its end. */
  async end(): Promise<number> {
    await this.#flush();
    const left = this.#inflater.left();
    if (left === null) throw notWhole(this.#path, 'unexpected end of file');
    return left;
  }

  async #inflate(piece: Buffer | null): Promise<void> {
    try {
      this.#filled = await this.#inflater.inflate(piece, this.#into, this.#filled);
    } catch (error) {
      throw isErrno(error, 'EBADMSG') ? notWhole(this.#path, error.detail ?? error.message, error) : error;
    }
  }

  async #flush(): Promise<void> {
    const filled = this.#into.subarray(0, this.#filled);
    this.#filled = 0;
    if (filled.length > 0) await this.#sink.write(filled);
  }
}
