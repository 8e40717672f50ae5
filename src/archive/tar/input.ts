/** The bytes of an archive, as they come from its sender. */

import { ThinlayerError } from '../../core/errors.js';
import type { ByteStream } from '../../core/service.js';
import { malformed } from './malformed.js';

/** All that waits rejects with `aborted` after `interrupt`, or when the source fails. */
export class TarInput {
  readonly #source: AsyncIterator<Uint8Array>;
  /** Of the last chunk, what was not taken yet. Its memory is the source's until the next one is asked for. */
  #rest: Buffer = Buffer.alloc(0);
  #length = 0;
  /** The source has ended, or was returned. */
  #done = false;
  #failure: ThinlayerError | null = null;
  #interrupted: (error: ThinlayerError) => void = () => undefined;

  constructor(source: ByteStream) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** At most `limit` bytes, of those that are there: good until the next call. Null: none is there. */
  take(limit: number): Buffer | null {
    if (this.#failure) throw this.#failure;
    if (this.#rest.length === 0) return null;
    const taken = this.#rest.subarray(0, limit);
    this.#rest = this.#rest.subarray(taken.length);
    return taken;
  }

  /** That many bytes if they are there, without a wait: else null, and nothing is taken. Good until the next call. */
  ready(length: number): Buffer | null {
    return this.#rest.length < length ? null : this.take(length);
  }

  /** That many bytes, in memory of their own. */
  async gather(length: number): Promise<Buffer> {
    const bytes = Buffer.allocUnsafe(length);
    let at = 0;
    while (at < length) {
      const taken = this.take(length - at);
      if (taken) at += taken.copy(bytes, at);
      else await this.need();
    }
    return bytes;
  }

  async skip(length: number): Promise<void> {
    let left = length;
    while (left > 0) {
      const taken = this.take(left);
      if (taken) left -= taken.length;
      else await this.need();
    }
  }

  /** Waits for more bytes, of which the archive holds some. */
  async need(): Promise<void> {
    if (await this.more()) return;
    throw malformed(this.#length === 0 ? 'it is empty' : `it is cut off after ${this.#length} bytes`);
  }

  /** Waits for the next chunk, and drops what is left of the last one. False: there is none. */
  async more(): Promise<boolean> {
    if (this.#failure) throw this.#failure;
    if (this.#done) return false;
    const { done, value } = await this.#next();
    this.#done = done === true;
    if (done === true) return false;
    this.#rest = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    this.#length += value.byteLength;
    return true;
  }

  interrupt(error: ThinlayerError): void {
    this.#failure ??= error;
    this.#interrupted(error);
  }

  /** Not waited for: a source whose sender is silent answers when that connection ends. */
  close(): void {
    if (this.#done) return;
    this.#done = true;
    Promise.resolve(this.#source.return?.()).catch(() => undefined); // nothing depends on it any more
  }

  #next(): Promise<IteratorResult<Uint8Array>> {
    return new Promise((resolve, reject) => {
      this.#interrupted = reject;
      this.#source.next().then(resolve, (error: unknown) => {
        this.#done = true;
        reject(senderFailed(error));
      });
    });
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
