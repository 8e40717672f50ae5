/** From what is on disk, and what is mounted, to the layers of a home and what has to be mended first. Pure. */

import type { LayerId, LayerRecord } from '../core/model.js';
import { chainFaults, depths } from './chains.js';
import type { HomeFacts, LayerFacts } from './facts.js';
import { mendsOf } from './mends.js';
import type { Mend, Wanted } from './mends.js';
import { isLink, linkedLayer } from './paths.js';
import { trust } from './trust.js';
import { judge } from './verdict.js';
import type { Repair, Verdict } from './verdict.js';

export interface PlannedLayer {
  readonly record: LayerRecord;
  readonly committed: boolean;
  readonly mends: readonly Mend[];
}

export interface RecoveryPlan {
  readonly layers: readonly PlannedLayer[];
  /** Layers with a fault of their own: those that stand on them are found by the index. */
  readonly faults: ReadonlyMap<LayerId, string>;
  /** Directories of Creates that were never acknowledged. */
  readonly halfMade: readonly LayerId[];
  /** Names in `l/` that belong to no layer. */
  readonly orphanLinks: readonly string[];
  /** Worth telling an administrator. */
  readonly notes: readonly { readonly layer: LayerId; readonly note: string }[];
}

/**
 * `known`: records of layers that are not in `facts`, when only some are read again. Their `l/` entries are then not
 * judged, so `orphanLinks` is to be ignored.
 */
export function planRecovery(
  facts: HomeFacts,
  mounted: ReadonlySet<LayerId>,
  known: ReadonlyMap<LayerId, LayerRecord> = new Map(),
): RecoveryPlan {
  const verdicts = new Map(facts.layers.map((layer) => [layer, judge(layer, mounted.has(layer.id))]));
  const { records, faults } = trust(facts, verdicts, known);
  const depth = depths(records, chainFaults(records, faults));
  const parents = new Set(Array.from(records.values(), (record) => record.parent));
  const layers = [...verdicts].flatMap(([layer, verdict]) => {
    const record = records.get(layer.id);
    if (record === undefined) return [];
    const wanted: Wanted = {
      depth: depth.get(layer.id),
      committed: layer.entries.includes('committed') || parents.has(layer.id),
      mounted: mounted.has(layer.id),
    };
    const mends = [...repairsOf(verdict), ...mendsOf(layer, record, wanted, facts.links)];
    return [{ record, committed: wanted.committed, mends }];
  });
  return {
    layers,
    faults,
    halfMade: facts.layers.filter((layer) => verdicts.get(layer)?.is === 'half-made').map(({ id }) => id),
    orphanLinks: orphans(facts, records, faults),
    notes: notesOf(verdicts),
  };
}

function repairsOf(verdict: Verdict | undefined): readonly Repair[] {
  return verdict?.is === 'layer' || verdict?.is === 'overlay2' ? verdict.repairs : [];
}

/** Entries of `l/` that point to a layer which is none, or has another link. Those of broken layers stay: they help to mend them. */
function orphans(
  facts: HomeFacts,
  records: ReadonlyMap<LayerId, LayerRecord>,
  faults: ReadonlyMap<string, string>,
): string[] {
  const owned = new Set(Array.from(records.values(), (record) => record.link));
  return Array.from(facts.links)
    .filter(([link, target]) => {
      const layer = linkedLayer(target);
      return layer !== undefined && isLink(link) && !owned.has(link) && !faults.has(layer);
    })
    .map(([link]) => link);
}

function notesOf(verdicts: ReadonlyMap<LayerFacts, Verdict>): RecoveryPlan['notes'] {
  return [...verdicts].flatMap(([{ id }, verdict]) =>
    verdict.is === 'overlay2' && verdict.damage !== null
      ? [
          {
            layer: id,
            note: `${verdict.damage}; kind, quota and label were guessed from the files of overlay2`,
          },
        ]
      : [],
  );
}
