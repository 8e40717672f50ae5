/** The last value of each key, written as fast as the disk takes it. */

interface Next<V> {
  value: V;
  readonly done: Promise<void>;
}

interface Write<V> {
  readonly done: Promise<void>;
  /** What comes after it, made of the last value that came meanwhile. */
  next: Next<V> | undefined;
}

/** One write of a key at a time. Of the values that come meanwhile only the last is written, and all who gave one wait for it. */
export class Latest<K, V> {
  readonly #make: (key: K, value: V) => Promise<void>;
  readonly #writes = new Map<K, Write<V>>();

  constructor(make: (key: K, value: V) => Promise<void>) {
    this.#make = make;
  }

  /** Resolves when this value, or a later one, is written. Rejects as that write does. */
  write(key: K, value: V): Promise<void> {
    const write = this.#writes.get(key);
    if (!write) return this.#start(key, value);
    if (write.next) write.next.value = value;
    else write.next = this.#after(write, key, value);
    return write.next.done;
  }

  #after(write: Write<V>, key: K, value: V): Next<V> {
    const start = (): Promise<void> => this.#start(key, next.value);
    // A failure is told to those who waited for that write.
    const next: Next<V> = { value, done: write.done.then(start, start) };
    return next;
  }

  #start(key: K, value: V): Promise<void> {
    const done = this.#make(key, value).finally(() => {
      if (!write.next) this.#writes.delete(key);
    });
    const write: Write<V> = { done, next: undefined };
    this.#writes.set(key, write);
    return done;
  }
}
