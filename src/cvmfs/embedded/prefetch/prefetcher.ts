/** Fetches ahead, several at once, and gives way to those who wait for what they read now. */

/** Transfers ahead at once. */
const PARALLEL = 12;

export class Prefetcher {
  /** Transfers at once in all, see FETCH_DEFAULTS. */
  readonly #connections: number;
  #active = 0;
  #misses = 0;
  #stopped = false;
  #waiting: (() => void)[] = [];

  constructor(connections: number) {
    this.#connections = connections;
  }

  /** Somebody waits for an object until `work` ends. */
  async duringMiss<T>(work: () => Promise<T>): Promise<T> {
    this.#misses += 1;
    try {
      return await work();
    } finally {
      this.#misses -= 1;
      this.#wake();
    }
  }

  /** Calls `fetch` for each in this order, until one throws: then no more are begun, and that is thrown at the end. */
  async run<T>(items: readonly T[], fetch: (item: T) => Promise<void>): Promise<void> {
    const queue = [...items];
    const work = async () => {
      while (queue.length > 0 && (await this.#turn())) {
        const item = queue.shift();
        try {
          if (item !== undefined) await fetch(item);
        } catch (error) {
          queue.length = 0;
          throw error;
        } finally {
          this.#active -= 1;
          this.#wake();
        }
      }
    };
    const ends = await Promise.allSettled(Array.from({ length: Math.min(PARALLEL, items.length) }, work));
    const failure = ends.find((end) => end.status === 'rejected');
    if (failure) throw failure.reason;
  }

  stop(): void {
    this.#stopped = true;
    this.#wake();
  }

  /** False: nothing is to be fetched any more. */
  async #turn(): Promise<boolean> {
    // Misses take the connections that they need; ahead is fetched over the others.
    while (!this.#stopped && this.#active >= Math.min(PARALLEL, this.#connections - this.#misses)) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    if (this.#stopped) return false;
    this.#active += 1;
    return true;
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const go of waiting) go();
  }
}
