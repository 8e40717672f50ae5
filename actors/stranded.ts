/** Layers that were mounted when their repository's process died: what they show is an error until they are mounted anew. */

import type { ThinlayerError } from '../src/core/errors.js';

export class Stranded {
  readonly #causes = new Map<string, ThinlayerError>();

  /** The first cause stays. Answers those of which none was known. */
  add(holders: Iterable<string>, cause: ThinlayerError): string[] {
    const added = [...holders].filter((holder) => !this.#causes.has(holder));
    for (const holder of added) this.#causes.set(holder, cause);
    return added;
  }

  has(holder: string): boolean {
    return this.#causes.has(holder);
  }

  remove(holder: string): void {
    this.#causes.delete(holder);
  }

  causeOf(holder: string): string | null {
    return this.#causes.get(holder)?.message ?? null;
  }
}
