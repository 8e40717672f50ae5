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
    if (await this.#isLeftover(layer)) await this.#options.remove(id);
  }

  /** `id` is to be removed: dockerd does that only when nothing that it knows of stands on it. */
  async removeFrom(id: LayerId): Promise<void> {
    if (!this.#engine.store.hasChildren(id)) return;
    for (const layer of this.#forgettableOn(id)) {
      const own = layer.record.id;
      await this.removeFrom(own);
      if (!(await this.#isLeftover(layer))) continue;
      await this.#options.remove(own);
      this.#options.removed(own);
    }
  }

  #forgettableOn(id: LayerId): LayerInfo[] {
    return layersOn(this.#engine, id).filter(
      (layer) => isInit(layer) || isOnInit(layer) || (isUnfilled(layer) && !this.#fresh.has(layer.record.id)),
    );
  }

  /** Nothing stands on it, and nobody wrote to it. */
  async #isLeftover(layer: LayerInfo): Promise<boolean> {
    const { store, archive } = this.#engine;
    if (store.hasChildren(layer.record.id)) return false;
    if (isInit(layer)) return true;
    return this.#options.idle(layer.record.id) && (await archive.changes(layer.paths.diff, [])).length === 0;
  }
}
