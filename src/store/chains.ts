/** Whether each layer's chain leads to a base layer. Pure. */

import { ThinlayerError } from '../core/errors.js';
import type { LayerId, LayerRecord } from '../core/model.js';

/**
 * `faults`, and a reason for each layer that cannot stand: its parent is missing, or broken, or it is its own ancestor.
 * Linear: each layer is looked at once, however long the chains.
 */
export function chainFaults(
  records: ReadonlyMap<LayerId, LayerRecord>,
  faults: ReadonlyMap<LayerId, string>,
): Map<LayerId, string> {
  const broken = new Map(faults);
  const sound = new Set<LayerId>();
  for (const id of records.keys()) {
    const path: LayerId[] = [];
    const walked = new Set<LayerId>();
    let at: LayerId | null = id;
    while (at !== null && !sound.has(at) && !broken.has(at) && !walked.has(at)) {
      const record = records.get(at);
      if (record === undefined) break;
      path.push(at);
      walked.add(at);
      at = record.parent;
    }
    if (at === null || sound.has(at)) path.forEach((layer) => sound.add(layer));
    else blame(path, at, walked.has(at), broken);
  }
  return broken;
}

function blame(path: readonly LayerId[], end: LayerId, cycle: boolean, broken: Map<LayerId, string>): void {
  const cause = broken.get(end);
  const reason = (layer: LayerId): string => {
    if (cycle) return `its chain of parents is a circle through ${end}; remove it and pull its image again`;
    if (cause !== undefined) return `its ancestor ${end} is broken: ${cause}`;
    const which = layer === path.at(-1) ? 'parent' : 'ancestor';
    return `its ${which} ${end} is missing; remove it and pull its image again`;
  };
  for (const layer of path) broken.set(layer, reason(layer));
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
  for (const [id, record] of records) {
    if (broken.has(id)) continue;
    const path: LayerRecord[] = [];
    for (let at: LayerRecord | undefined = record; at && !known.has(at.id); at = parentOf(records, at))
      path.push(at);
    for (const layer of path.reverse()) {
      known.set(layer.id, layer.parent === null ? 0 : (known.get(layer.parent) ?? 0) + 1);
    }
  }
  return known;
}

function parentOf(records: ReadonlyMap<LayerId, LayerRecord>, record: LayerRecord): LayerRecord | undefined {
  return record.parent === null ? undefined : records.get(record.parent);
}
