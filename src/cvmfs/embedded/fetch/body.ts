/** What a piece takes beside its bytes, roughly: a server may send them one by one. */
const PIECE_COST = 128;
/** Pieces that are smaller together are given as one: each costs its reader a job on a thread. */
const JOINED_BYTES = 64 * 1024;

/**
 * A body as it arrives. It takes whatever comes, and has one reader. Not a stream: most bodies are one chunk, for which a
 * stream costs more than its transfer.
 */
export class Body {
  readonly #pieces: Buffer[] = [];
  readonly #cancel: (reason: Error) => void;
  #waiting = 0;
  #over = false;
  #failure: Error | null = null;
  #wake: () => void = () => {};

  /** `cancel`: nobody wants the rest. */
  constructor(cancel: (reason: Error) => void) {
    this.#cancel = cancel;
  }

  /** Bytes of memory that what was not read yet takes. */
  get waiting(): number {
    return this.#waiting;
  }

  push(piece: Buffer): void {
    if (this.#over) return;
    this.#pieces.push(piece);
    this.#waiting += piece.length + PIECE_COST;
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
    while (this.#pieces.length === 0 && !this.#over) await this.#change();
    if (this.#pieces.length > 0) return this.#take();
    if (this.#failure) throw this.#failure;
    return null;
  }

  /** The rest is thrown away, and the connection with it unless all is here. */
  destroy(): void {
    this.#pieces.length = 0;
    this.#waiting = 0;
    if (this.#over) return;
    this.#over = true;
    this.#cancel(new Error('nobody reads the rest of it'));
  }

  #take(): Buffer {
    let bytes = 0;
    let count = 0;
    for (const { length } of this.#pieces) {
      if (count > 0 && bytes + length > JOINED_BYTES) break;
      bytes += length;
      count++;
    }
    const taken = this.#pieces.splice(0, count);
    this.#waiting -= bytes + count * PIECE_COST;
    const [first] = taken;
    return first && count === 1 ? first : Buffer.concat(taken, bytes);
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}
