/** What was fetched ahead, and whether anybody wanted it. */

import type { PrefetchCounts } from '../../../core/repository.js';

/** Of those not opened yet so many are remembered by name. */
const MAX_PENDING = 16_384;

export class Ahead {
  readonly #pending = new Map<string, number>();
  #objects = 0;
  #bytes = 0;
  #hits = 0;
  #wanted = 0;

  add(object: string, size: number): void {
    this.#objects += 1;
    this.#bytes += size;
    this.#pending.set(object, size);
    const oldest = this.#pending.keys().next();
    if (this.#pending.size > MAX_PENDING && !oldest.done) this.#pending.delete(oldest.value);
  }

  opened(object: string): void {
    const size = this.#pending.get(object);
    if (size === undefined) return;
    this.#pending.delete(object);
    this.#hits += 1;
    this.#wanted += size;
  }

  get statistics(): Omit<PrefetchCounts, 'recorded'> {
    const wastedBytes = this.#bytes - this.#wanted;
    return { objects: this.#objects, bytes: this.#bytes, hits: this.#hits, wastedBytes };
  }
}
