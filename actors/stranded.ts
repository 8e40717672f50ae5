/** Layers that were mounted when their repository's process died: what they show is an error until they are mounted anew. */

import type { ThinlayerError } from '../src/core/errors.js';

export class Stranded {
  readonly #causes = new Map<string, ThinlayerError>();

  add(holders: Iterable<string>, cause: ThinlayerError): void {
    for (const holder of holders) this.#causes.set(holder, cause);
  }

  remove(holder: string): void {
    this.#causes.delete(holder);
  }

  causeOf(holder: string): string | null {
    return this.#causes.get(holder)?.message ?? null;
  }
}
