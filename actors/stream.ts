/** A stream whose first failure comes as a rejection, and that is closed once, however it ends. */

import type { ByteStream } from '../src/core/service.js';

/**
 * Resolves when the first chunk is there. `close` runs when the stream has ended, failed, or was given up by its
 * reader (`return` of its iterator), and also when already the first chunk fails.
 */
export async function primed(stream: ByteStream, close: () => Promise<void>): Promise<ByteStream> {
  const chunks = stream[Symbol.asyncIterator]();
  try {
    const first = await chunks.next();
    return new Primed(first, chunks, close);
  } catch (error) {
    await close();
    throw error;
  }
}

class Primed implements AsyncIterableIterator<Uint8Array> {
  #first: IteratorResult<Uint8Array> | undefined;
  readonly #chunks: AsyncIterator<Uint8Array>;
  #close: (() => Promise<void>) | undefined;

  constructor(
    first: IteratorResult<Uint8Array>,
    chunks: AsyncIterator<Uint8Array>,
    close: () => Promise<void>,
  ) {
    this.#first = first;
    this.#chunks = chunks;
    this.#close = close;
  }

  async next(): Promise<IteratorResult<Uint8Array>> {
    try {
      const result = this.#first ?? (await this.#chunks.next());
      this.#first = undefined;
      if (result.done) await this.#end();
      return result;
    } catch (error) {
      await this.#end();
      throw error;
    }
  }

  async return(): Promise<IteratorResult<Uint8Array>> {
    this.#first = undefined;
    try {
      await this.#chunks.return?.();
    } finally {
      await this.#end();
    }
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async #end(): Promise<void> {
    const close = this.#close;
    this.#close = undefined;
    await close?.();
  }
}
