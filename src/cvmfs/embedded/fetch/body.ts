/**
 * A body as it arrives. It takes whatever comes, and has one reader. Not a stream: most bodies are one chunk, for which a
 * stream costs more than its transfer.
 */
export class Body {
  readonly #chunks: Buffer[] = [];
  readonly #cancel: (reason: Error) => void;
  #waiting = 0;
  #over = false;
  #failure: Error | null = null;
  #wake: () => void = () => {};

  /** `cancel`: nobody wants the rest. */
  constructor(cancel: (reason: Error) => void) {
    this.#cancel = cancel;
  }

  /** Bytes that were not read yet. */
  get waiting(): number {
    return this.#waiting;
  }

  push(chunk: Buffer): void {
    if (this.#over) return;
    this.#chunks.push(chunk);
    this.#waiting += chunk.length;
    this.#wake();
  }

  /** Nothing comes any more; with `failure`: though more should. */
  end(failure: Error | null = null): void {
    if (this.#over) return;
    this.#over = true;
    this.#failure = failure;
    this.#wake();
  }

  /** What came first. Null: there is no more. Rejects with the failure, when all that came before it was read. */
  async next(): Promise<Buffer | null> {
    while (this.#chunks.length === 0 && !this.#over) await this.#change();
    const chunk = this.#chunks.shift();
    if (chunk) {
      this.#waiting -= chunk.length;
      return chunk;
    }
    if (this.#failure) throw this.#failure;
    return null;
  }

  /** The rest is thrown away, and the connection with it unless all is here. */
  destroy(): void {
    this.#chunks.length = 0;
    this.#waiting = 0;
    if (this.#over) return;
    this.#over = true;
    this.#cancel(new Error('nobody reads the rest of it'));
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}
