/** Calls under way: counted, so that a drain or a new opening can wait for their end. */

export class Calls {
  #running = 0;
  #closed = false;
  #ended: (() => void)[] = [];

  /** Runs `call` as one of those that `finished` waits for. */
  async run<T>(call: () => Promise<T>): Promise<T> {
    const end = this.begin();
    try {
      return await call();
    } finally {
      end();
    }
  }

  /** For a call that outlasts its promise, as a stream does. The returned function ends it, once. */
  begin(): () => void {
    this.#running += 1;
    let ended = false;
    return () => {
      if (ended) return;
      ended = true;
      this.#running -= 1;
      if (this.#running === 0) this.#settle();
    };
  }

  get running(): number {
    return this.#running;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** No new calls are wanted (whoever admits them asks `closed`); resolves when the running ones have ended. */
  finished(): Promise<void> {
    this.#closed = true;
    return this.#running === 0 ? Promise.resolve() : new Promise((resolve) => this.#ended.push(resolve));
  }

  #settle(): void {
    const ended = this.#ended;
    this.#ended = [];
    for (const resolve of ended) resolve();
  }
}
