/**
 * Shared holds: readers of a layer (diff, changes, size, a child being created) keep it from being removed, and
 * stand in no queue. They can last minutes, and dockerd sends other calls for the same layer meanwhile.
 */

import { ThinlayerError } from '../src/core/errors.js';
import type { LayerId } from '../src/core/model.js';

interface Held {
  count: number;
  /** Called when the count reaches zero. */
  readonly freed: (() => void)[];
}

export class Holds {
  readonly #held = new Map<LayerId, Held>();
  /** Removals under way, each with its end. */
  readonly #leaving = new Map<LayerId, Promise<void>>();

  /** Returns what gives the hold back (once, however often it is called). Throws `not_found` while the layer is being removed. */
  take(id: LayerId): () => void {
    if (this.#leaving.has(id)) {
      throw new ThinlayerError('not_found', `layer ${id} is being removed`, { layer: id });
    }
    const held = this.#held.get(id) ?? { count: 0, freed: [] };
    held.count += 1;
    this.#held.set(id, held);
    let given = false;
    return () => {
      if (given) return;
      given = true;
      this.#release(id, held);
    };
  }

  /** Runs `removal` when nobody holds the layer and no other removal of it runs, and lets nobody take it meanwhile. */
  async exclusively<T>(id: LayerId, removal: () => Promise<T>): Promise<T> {
    while (this.#held.has(id) || this.#leaving.has(id)) await (this.#leaving.get(id) ?? this.#freed(id));
    let end: () => void = () => undefined;
    this.#leaving.set(id, new Promise((resolve) => (end = resolve)));
    try {
      return await removal();
    } finally {
      this.#leaving.delete(id);
      end();
    }
  }

  #release(id: LayerId, held: Held): void {
    held.count -= 1;
    if (held.count > 0) return;
    this.#held.delete(id);
    for (const freed of held.freed) freed();
  }

  #freed(id: LayerId): Promise<void> {
    return new Promise((resolve) => this.#held.get(id)?.freed.push(resolve));
  }
}
