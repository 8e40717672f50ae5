/** Whether each layer's chain leads to a base layer. Pure. */

import { ThinlayerError } from '../core/errors.js';
import type { LayerId, LayerRecord } from '../core/model.js';

/**
 * `faults`, and a reason for each layer that cannot stand: its parent is missing, or broken, or it is its own ancestor.
 * Linear: each layer is judged once, however long the chains.
 */
export function chainFaults(
  records: ReadonlyMap<LayerId, LayerRecord>,
  faults: ReadonlyMap<LayerId, string>,
): Map<LayerId, string> {
  const broken = new Map(faults);
  const sound = new Set<LayerId>();
  for (const record of records.values()) {
    const path = unjudged(record, records, (id) => sound.has(id) || broken.has(id));
    const end = path.at(-1)?.parent ?? null;
    if (path.length === 0) continue;
    if (end === null || sound.has(end)) path.forEach((layer) => sound.add(layer.id));
    else blame(path, end, broken);
  }
  return broken;
}

/** `from` and its ancestors, up to one whose parent is judged, missing, or among them: a circle is longer than all layers. */
function unjudged(
  from: LayerRecord,
  records: ReadonlyMap<LayerId, LayerRecord>,
  judged: (id: LayerId) => boolean,
): LayerRecord[] {
  const path: LayerRecord[] = [];
  let at: LayerRecord | undefined = from;
  while (at !== undefined && !judged(at.id) && path.length <= records.size) {
    path.push(at);
    at = at.parent === null ? undefined : records.get(at.parent);
  }
  return path;
}

function blame(path: readonly LayerRecord[], end: LayerId, broken: Map<LayerId, string>): void {
  const cause = broken.get(end);
  const circle = path.some((layer) => layer.id === end);
  const last = path.at(-1);
  const reason = (layer: LayerRecord): string => {
    if (circle) return `its chain of parents is a circle through ${end}; remove it and pull its image again`;
    if (cause !== undefined) return `its ancestor ${end} is broken: ${cause}`;
    return `its ${layer === last ? 'parent' : 'ancestor'} ${end} is missing; remove it and pull its image again`;
  };
  for (const layer of path) broken.set(layer.id, reason(layer));
}

/** Whether it is in a circle of parents, and not only above one. */
export function isOwnAncestor(find: (id: LayerId) => LayerRecord | undefined, id: LayerId): boolean {
  const ancestors = new Set<LayerId>();
  const above = (layer: LayerId) => find(layer)?.parent ?? null;
  for (let at = above(id); at !== null && !ancestors.has(at); at = above(at)) ancestors.add(at);
  return ancestors.has(id);
}

/** Records of the ancestors, uppermost first. Throws `data_loss` for a missing one. */
export function ancestorsOf(
  find: (id: LayerId) => LayerRecord | undefined,
  record: LayerRecord,
): LayerRecord[] {
  const chain: LayerRecord[] = [];
  for (let parent = record.parent; parent !== null;) {
    const ancestor = find(parent);
    if (ancestor === undefined) {
      const message = `layer ${record.id} has lost its ancestor ${parent}; remove it and pull its image again`;
      throw new ThinlayerError('data_loss', message, { op: 'chain', layer: record.id });
    }
    chain.push(ancestor);
    parent = ancestor.parent;
  }
  return chain;
}

/** Number of ancestors of each layer that is not broken. */
export function depths(
  records: ReadonlyMap<LayerId, LayerRecord>,
  broken: ReadonlyMap<LayerId, string>,
): Map<LayerId, number> {
  const known = new Map<LayerId, number>();
  for (const record of records.values()) {
    const path = unjudged(record, records, (id) => known.has(id) || broken.has(id));
    for (const { id, parent } of path.reverse())
      known.set(id, parent === null ? 0 : (known.get(parent) ?? 0) + 1);
  }
  return known;
}
