import { ThinlayerError } from '../../src/core/errors.js';
import type { LayerId, LayerInfo, LayerPaths, LayerRecord } from '../../src/core/model.js';
import type { LayerStore, Staging } from '../../src/core/ports.js';

export interface FakeLayerStore extends LayerStore {
  /** Breaks a layer until it is reloaded. */
  breakLayer(id: LayerId, reason: string): void;
}

/** `replaced`: methods for this test, a failing one for example. `home` is only a name. */
export function fakeLayerStore(replaced: Partial<LayerStore> = {}, home = '/fake'): FakeLayerStore {
  const store = new MinimalStore(home);
  return new Proxy(store, {
    get(target, name) {
      const own: unknown = Reflect.get(replaced, name);
      const value: unknown = own ?? Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

interface Entry {
  record: LayerRecord;
  committed: boolean;
}

class MinimalStore implements LayerStore {
  readonly #home: string;
  readonly #entries = new Map<LayerId, Entry>();
  readonly #broken = new Map<LayerId, string>();

  constructor(home: string) {
    this.#home = home;
  }

  get(id: LayerId): LayerInfo | undefined {
    const entry = this.#entries.get(id);
    if (!entry || this.#broken.has(id)) return undefined;
    const lowers = this.#ancestors(entry.record).map((r) => this.#paths(r.id).diff);
    return { ...entry, paths: this.#paths(id), lowers };
  }

  *list(): Iterable<LayerInfo> {
    for (const id of this.#entries.keys()) {
      const info = this.get(id);
      if (info) yield info;
    }
  }

  hasChildren(id: LayerId): boolean {
    return [...this.#entries.values()].some(({ record }) => record.parent === id);
  }

  broken(): ReadonlyMap<LayerId, string> {
    return this.#broken;
  }

  breakLayer(id: LayerId, reason: string): void {
    this.#broken.set(id, reason);
  }

  links(id: LayerId): { own: string; lowers: string[] } {
    const record = this.#known(id).record;
    const link = (r: LayerRecord) => `${this.#home}/l/${r.link}`;
    return { own: link(record), lowers: this.#ancestors(record).map(link) };
  }

  async create(record: LayerRecord, prepare?: (directory: string) => Promise<void>): Promise<LayerInfo> {
    await prepare?.(this.#paths(record.id).root);
    this.#entries.set(record.id, { record, committed: false });
    if (record.parent !== null) this.#known(record.parent).committed = true;
    return this.get(record.id) as LayerInfo;
  }

  async update(record: LayerRecord): Promise<void> {
    this.#known(record.id).record = record;
  }

  async stage(id: LayerId): Promise<Staging> {
    return {
      path: `${this.#paths(id).root}/staging`,
      commit: (record) => this.update(record),
      discard: () => Promise.resolve(),
    };
  }

  async remove(id: LayerId): Promise<void> {
    this.#entries.delete(id);
    this.#broken.delete(id);
  }

  async reload(id: LayerId): Promise<LayerInfo | undefined> {
    this.#broken.delete(id);
    return this.get(id);
  }

  async close(): Promise<void> {
    this.#entries.clear();
  }

  #known(id: LayerId): Entry {
    const entry = this.#entries.get(id);
    if (entry) return entry;
    throw new ThinlayerError('not_found', `layer ${id} does not exist`, { layer: id });
  }

  #ancestors(record: LayerRecord): LayerRecord[] {
    if (record.parent === null) return [];
    const parent = this.#entries.get(record.parent)?.record;
    if (!parent)
      throw new ThinlayerError('data_loss', `layer ${record.parent} is missing`, { layer: record.id });
    return [parent, ...this.#ancestors(parent)];
  }

  #paths(id: LayerId): LayerPaths {
    const root = `${this.#home}/${id}`;
    return { root, diff: `${root}/diff`, work: `${root}/work`, merged: `${root}/merged` };
  }
}
