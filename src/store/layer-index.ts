/** The layers of one home in memory: small enough for tens of thousands, lowers are put together when asked for. */

import { ThinlayerError } from '../core/errors.js';
import type { LayerId, LayerInfo, LayerRecord, LowerLayer } from '../core/model.js';
import { ancestorsOf, chainFaults, isOwnAncestor } from './chains.js';
import { layerPaths, linkPath } from './paths.js';

/** What is asked for again and again is kept: the paths of a chain are put together once, not at each mount. */
interface Entry {
  readonly record: LayerRecord;
  readonly committed: boolean;
  /** In `l/`, as an absolute path. */
  readonly link: string;
  info: LayerInfo | undefined;
  /** `at`: the state of the index that they were put together from. */
  links: { readonly at: number; readonly value: LayerLinks } | undefined;
}

interface LayerLinks {
  readonly own: string;
  readonly lowers: readonly LowerLayer[];
}

export class LayerIndex {
  readonly #home: string;
  readonly #entries = new Map<LayerId, Entry>();
  /** Children by parent: also of parents that have no entry, and of children that are still being made. */
  readonly #children = new Map<LayerId, number>();
  /** Layers that are broken themselves. */
  readonly #faults = new Map<LayerId, string>();
  /** Counts the records that came, went or changed. */
  #changes = 0;
  /** These, and those that stand on them. */
  #broken: ReadonlyMap<LayerId, string> = new Map();

  constructor(home: string) {
    this.#home = home;
  }

  get(id: LayerId): LayerInfo | undefined {
    const entry = this.#entries.get(id);
    return entry === undefined || this.#broken.has(id) ? undefined : this.#info(entry);
  }

  #info(entry: Entry): LayerInfo {
    return (entry.info ??= this.#describe(entry));
  }

  #describe({ record, committed }: Entry): LayerInfo {
    const home = this.#home;
    const ancestors = () => this.ancestors(record);
    return {
      record,
      committed,
      paths: layerPaths(home, record.id),
      get depth() {
        return ancestors().reduce((depth, { thin }) => depth + (thin?.length ?? 1), 0);
      },
      get lowers() {
        return ancestors().flatMap((record) => lowersOf(record, layerPaths(home, record.id).diff));
      },
    };
  }

  /** As absolute paths. Throws what `need` throws. */
  links(id: LayerId): LayerLinks {
    const record = this.need(id, 'links');
    const entry = this.#entries.get(id);
    if (entry?.links?.at === this.#changes) return entry.links.value;
    const lowers: LowerLayer[] = [];
    for (const ancestor of this.ancestors(record)) lowers.push(...lowersOf(ancestor, this.#link(ancestor)));
    const value = { own: this.#link(record), lowers };
    if (entry) entry.links = { at: this.#changes, value };
    return value;
  }

  #link({ id, link }: LayerRecord): string {
    return this.#entries.get(id)?.link ?? linkPath(this.#home, link);
  }

  *list(): Iterable<LayerInfo> {
    for (const id of this.#entries.keys()) {
      const info = this.get(id);
      if (info) yield info;
    }
  }

  broken(): ReadonlyMap<LayerId, string> {
    return this.#broken;
  }

  /** A healthy layer's record, or why there is none: `not_found`, or `data_loss` for a broken layer. */
  need(id: LayerId, op: string): LayerRecord {
    const reason = this.#broken.get(id);
    if (reason !== undefined)
      throw new ThinlayerError('data_loss', `layer ${id} is broken: ${reason}`, { op, layer: id });
    const entry = this.#entries.get(id);
    if (entry === undefined) throw new ThinlayerError('not_found', `no such layer: ${id}`, { op, layer: id });
    return entry.record;
  }

  /** Also of a broken layer, if its own record is whole. */
  record(id: LayerId): LayerRecord | undefined {
    return this.#entries.get(id)?.record;
  }

  /** Also broken layers, as far as their records could be read. */
  records(): Map<LayerId, LayerRecord> {
    return new Map(Array.from(this.#entries, ([id, entry]) => [id, entry.record]));
  }

  has(id: LayerId): boolean {
    return this.#entries.has(id) || this.#faults.has(id);
  }

  committed(id: LayerId): boolean {
    return this.#entries.get(id)?.committed ?? false;
  }

  /** In a circle of parents each is the child of another, and none could be removed first: that one child does not count. */
  hasChildren(id: LayerId): boolean {
    const children = this.#children.get(id) ?? 0;
    const inCircle = this.#broken.has(id) && isOwnAncestor((layer) => this.record(layer), id);
    return children > (inCircle ? 1 : 0);
  }

  /** Records of the ancestors, uppermost first. Throws `data_loss` for a missing one. */
  ancestors(record: LayerRecord): LayerRecord[] {
    return ancestorsOf((id) => this.#entries.get(id)?.record, record);
  }

  /** Adds or replaces an entry. Children are counted apart: see `holdParent`. */
  set(record: LayerRecord, committed: boolean): LayerInfo {
    const link = linkPath(this.#home, record.link);
    const entry: Entry = { record, committed, link, info: undefined, links: undefined };
    this.#entries.set(record.id, entry);
    this.#changes += 1;
    return this.#info(entry);
  }

  setCommitted(id: LayerId, committed: boolean): void {
    const entry = this.#entries.get(id);
    if (entry) this.#entries.set(id, { ...entry, committed, info: undefined });
  }

  setFault(id: LayerId, reason: string): void {
    this.#faults.set(id, reason);
  }

  /** Takes `id` out, its hold on its parent too; answers how to put all back. */
  takeOut(id: LayerId): () => void {
    const entry = this.#entries.get(id);
    const fault = this.#faults.get(id);
    this.#entries.delete(id);
    this.#changes += 1;
    this.#faults.delete(id);
    const holdAgain = entry ? this.releaseParent(entry.record) : () => undefined;
    const brokenBefore = this.#broken;
    if (this.#broken.has(id)) this.assess();
    return () => {
      if (entry) this.#entries.set(id, entry);
      this.#changes += 1;
      if (fault !== undefined) this.#faults.set(id, fault);
      holdAgain();
      if (brokenBefore.has(id)) this.assess();
    };
  }

  /** Counts a child of the record's parent. */
  holdParent(record: LayerRecord): void {
    if (record.parent === null) return;
    this.#children.set(record.parent, (this.#children.get(record.parent) ?? 0) + 1);
  }

  /** The reverse; answers how to undo it. */
  releaseParent(record: LayerRecord): () => void {
    if (record.parent === null) return () => undefined;
    const left = (this.#children.get(record.parent) ?? 0) - 1;
    if (left > 0) this.#children.set(record.parent, left);
    else this.#children.delete(record.parent);
    return () => this.holdParent(record);
  }

  /** Finds out anew which layers are broken: after records came or went that others may stand on. */
  assess(): void {
    this.#broken = chainFaults(this.records(), this.#faults);
  }
}

/** What a child stands on, uppermost first. A thin layer itself holds nothing but its descriptor. */
function lowersOf({ thin }: LayerRecord, directory: string): readonly LowerLayer[] {
  return thin ? [...thin].reverse() : [directory];
}
