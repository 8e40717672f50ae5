/** Whether each layer's chain leads to a base layer. Pure. */

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
  let reason = `its parent ${end} is missing; remove it and pull its image again`;
  if (cycle) reason = `its chain of parents is a circle through ${end}; remove it and pull its image again`;
  else if (cause !== undefined) reason = `its ancestor ${end} is broken: ${cause}`;
  for (const layer of path)
    broken.set(layer, reason.replace('its parent', layer === path.at(-1) ? 'its parent' : 'its ancestor'));
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
