/**
 * Layers that Docker forgot: nobody would ever ask for them again, and what they stand on could not be removed. For a container
 * Docker makes two, ID-init and on it ID, and attaches the first once, to fill it. If that fails, or an answer gets lost, it
 * forgets them without a removal (moby, layer/layer_store.go, CreateRWLayer and initMount). Of an image it forgets the layer
 * that it fills when it is killed, since it writes it down last (registerWithDescriptor there).
 */

import type { LayerId, LayerInfo, LayerKind } from '../src/core/model.js';
import type { Engine } from '../src/core/ports.js';

const INIT = '-init';

/** Docker fills such a layer itself: nothing of a user's is in it. */
function isInit({ record: { id, kind } }: LayerInfo): boolean {
  return kind === 'container' && id.endsWith(INIT);
}

function isOnInit({ record: { id, kind, parent } }: LayerInfo): boolean {
  return kind === 'container' && parent === `${id}${INIT}`;
}

/** Docker fills it right after it made it. */
function isUnfilled({ record: { kind, state } }: LayerInfo): boolean {
  return kind === 'image' && state === 'created';
}

/** The whole store is gone through: for layers that cannot be removed, not for each call. */
export function layersOn({ store }: Engine, id: LayerId): LayerInfo[] {
  return [...store.list()].filter(({ record }) => record.parent === id);
}

export interface LeftoversOptions {
  /** Nobody works on the layer, and it is not mounted. */
  readonly idle: (id: LayerId) => boolean;
  readonly remove: (id: LayerId) => Promise<void>;
  /** Told of each layer that went with what it stood on, for the log. */
  readonly removed: (id: LayerId) => void;
}

export class Leftovers {
  readonly #engine: Engine;
  readonly #options: LeftoversOptions;
  /** Layers of images that were made since the home was opened: Docker may be about to fill one. */
  readonly #fresh = new Set<LayerId>();

  constructor(engine: Engine, options: LeftoversOptions) {
    this.#engine = engine;
    this.#options = options;
  }

  made(id: LayerId, kind: LayerKind): void {
    if (kind === 'image') this.#fresh.add(id);
  }

  gone(id: LayerId): void {
    this.#fresh.delete(id);
  }

  /** `id` could not be attached. If it is an ID-init, Docker gives up that container. */
  async forget(id: LayerId): Promise<void> {
    const layer = this.#engine.store.get(id);
    if (!layer || !isInit(layer) || !this.#options.idle(id)) return;
    if (!this.#engine.store.hasChildren(id)) await this.#options.remove(id);
  }

  /**
   * `id` is to be removed: dockerd does that only when nothing that it knows of stands on it. If one layer on it has to
   * stay, so do all, as `id` does.
   */
  async removeFrom(id: LayerId): Promise<void> {
    for (const own of (await this.#leftoversOn(id)) ?? []) {
      await this.#options.remove(own);
      this.#options.removed(own);
    }
  }

  /** All that stands on `id`, each before what it stands on; null if something of it is no leftover. */
  async #leftoversOn(id: LayerId): Promise<LayerId[] | null> {
    if (!this.#engine.store.hasChildren(id)) return [];
    const found: LayerId[] = [];
    for (const layer of layersOn(this.#engine, id)) {
      const above = await this.#leftoversOn(layer.record.id);
      if (!above || !(await this.#isLeftover(layer))) return null;
      found.push(...above, layer.record.id);
    }
    return found;
  }

  /** Of a kind that Docker forgets, and nobody wrote to it. */
  async #isLeftover(layer: LayerInfo): Promise<boolean> {
    const { id } = layer.record;
    if (isInit(layer)) return true;
    if (!isOnInit(layer) && (!isUnfilled(layer) || this.#fresh.has(id))) return false;
    return this.#options.idle(id) && (await this.#engine.archive.changes(layer.paths.diff, [])).length === 0;
  }
}
