/** Changes of one layer, one after the other. */

/**
 * Work under one key never overlaps and runs in the order of the calls. With nothing in its way it starts before
 * `take` returns: what it checks first is checked in the caller's turn of the event loop.
 */
export class Turns {
  readonly #last = new Map<string, Promise<void>>();

  take<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key);
    const result = before === undefined ? work() : before.then(work);
    const done: Promise<void> = result.then(
      () => this.#leave(key, done),
      () => this.#leave(key, done),
    );
    this.#last.set(key, done);
    return result;
  }

  #leave(key: string, done: Promise<void>): void {
    if (this.#last.get(key) === done) this.#last.delete(key);
  }

  async idle(): Promise<void> {
    while (this.#last.size > 0) await Promise.all(this.#last.values());
  }
}
