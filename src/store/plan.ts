/** From what is on disk, and what is mounted, to the layers of a home and what has to be mended first. Pure. */

import type { LayerId, LayerRecord } from '../core/model.js';
import { ThinlayerError } from '../core/errors.js';
import { chainFaults, depths } from './chains.js';
import type { HomeFacts, LayerFacts } from './facts.js';
import { deriveRecord, linkOwners } from './overlay2.js';
import type { Surroundings } from './overlay2.js';
import { isLink, linkTarget, linkedLayer, LINK_LENGTH, lowerSize } from './paths.js';
import { judge } from './verdict.js';
import type { Repair, Verdict } from './verdict.js';

/** A mend of one layer, in the order in which they are made. */
export type Mend =
  | Repair
  | { readonly do: 'make work' }
  | { readonly do: 'remove merged' }
  | { readonly do: 'write'; readonly name: 'link' | 'lower' | 'committed' }
  /** `l/LINK` is missing, or points elsewhere. */
  | { readonly do: 'relink'; readonly stale: boolean };

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
  const faults = new Map<LayerId, string>();
  const owners = ownersOf(facts, known);
  const around = surroundings(facts, owners, known);
  const records = new Map(known);
  for (const [layer, verdict] of verdicts) {
    const record = recordOf(layer, verdict, around, faults);
    if (record !== undefined && isSound(layer, record, owners, faults)) records.set(layer.id, record);
  }
  const sizes = depths(records, chainFaults(records, faults));
  const parents = new Set(Array.from(records.values(), (record) => record.parent));
  return {
    layers: facts.layers.flatMap((layer) => {
      const record = records.get(layer.id);
      if (record === undefined) return [];
      const repairs = repairsOf(verdicts.get(layer));
      const committed = layer.entries.includes('committed') || parents.has(layer.id);
      const derived = derivedMends(layer, record, {
        depth: sizes.get(layer.id),
        committed,
        target: facts.links.get(record.link),
      });
      const merged: Mend[] =
        layer.entries.includes('merged') && !mounted.has(layer.id) ? [{ do: 'remove merged' }] : [];
      return [{ record, committed, mends: [...repairs, ...derived, ...merged] }];
    }),
    faults,
    halfMade: facts.layers
      .filter((layer) => verdicts.get(layer)?.is === 'half-made')
      .map((layer) => layer.id),
    orphanLinks: orphans(facts, records, faults),
    notes: notesOf(verdicts),
  };
}

function repairsOf(verdict: Verdict | undefined): readonly Repair[] {
  return verdict?.is === 'layer' || verdict?.is === 'overlay2' ? verdict.repairs : [];
}

function recordOf(
  layer: LayerFacts,
  verdict: Verdict,
  around: Surroundings,
  faults: Map<LayerId, string>,
): LayerRecord | undefined {
  switch (verdict.is) {
    case 'layer':
      return verdict.record;
    case 'broken':
      faults.set(layer.id, verdict.reason);
      return undefined;
    case 'half-made':
      return undefined;
    case 'overlay2':
      try {
        return deriveRecord(layer, verdict.files, around);
      } catch (error) {
        if (!(error instanceof ThinlayerError)) throw error;
        faults.set(
          layer.id,
          verdict.damage === null ? error.message : `${verdict.damage}; and ${error.message}`,
        );
        return undefined;
      }
  }
}

function isSound(
  layer: LayerFacts,
  record: LayerRecord,
  owners: ReadonlyMap<string, LayerId>,
  faults: Map<LayerId, string>,
): boolean {
  const owner = owners.get(record.link);
  const swaps = layer.staged.found === 'record' && layer.entries.includes('staging');
  if (!layer.entries.includes('diff') && !swaps)
    faults.set(layer.id, 'its diff directory is gone; restore it, or remove the layer');
  else if (owner !== undefined && owner !== layer.id)
    faults.set(layer.id, `its link ${record.link} belongs to layer ${owner}: is one a copy of the other?`);
  return !faults.has(layer.id);
}

function ownersOf(facts: HomeFacts, known: ReadonlyMap<LayerId, LayerRecord>): Map<string, LayerId> {
  const owners = linkOwners(facts.layers, facts.links);
  for (const record of known.values()) owners.set(record.link, record.id);
  return owners;
}

function surroundings(
  facts: HomeFacts,
  owners: ReadonlyMap<string, LayerId>,
  known: ReadonlyMap<LayerId, LayerRecord>,
): Surroundings {
  let links: Map<string, string> | undefined;
  return {
    ids: new Set([...known.keys(), ...facts.layers.map((layer) => layer.id)]),
    ownerOf: (link) => owners.get(link),
    linkTo(id) {
      links ??= new Map(Array.from(facts.links, ([link, target]) => [linkedLayer(target) ?? '', link]));
      const link = links.get(id);
      return link !== undefined && isLink(link) ? link : undefined;
    },
  };
}

interface Wanted {
  /** Number of ancestors; undefined for a layer whose chain is broken: its `lower` is left as it is. */
  readonly depth: number | undefined;
  readonly committed: boolean;
  /** Of `l/LINK`, as it is. */
  readonly target: string | undefined;
}

/** By size, not by content: a power cut leaves these files empty or missing, nothing else changes them. */
function derivedMends(layer: LayerFacts, record: LayerRecord, wanted: Wanted): Mend[] {
  const mends: Mend[] = [];
  const has = (name: string) => layer.entries.includes(name);
  if (record.parent !== null && !has('work')) mends.push({ do: 'make work' });
  if (layer.linkSize !== LINK_LENGTH) mends.push({ do: 'write', name: 'link' });
  if (wanted.depth !== undefined && layer.lowerSize !== lowerSize(wanted.depth))
    mends.push({ do: 'write', name: 'lower' });
  if (wanted.committed && !has('committed')) mends.push({ do: 'write', name: 'committed' });
  if (wanted.target !== linkTarget(layer.id))
    mends.push({ do: 'relink', stale: wanted.target !== undefined });
  return mends;
}

/** Entries of `l/` that point to no layer, or to one that has another link. Those of broken layers stay: they help to mend them. */
function orphans(
  facts: HomeFacts,
  records: ReadonlyMap<LayerId, LayerRecord>,
  faults: ReadonlyMap<LayerId, string>,
): string[] {
  const byName: ReadonlyMap<string, LayerRecord> = records;
  const broken: ReadonlyMap<string, string> = faults;
  const owned = new Set(Array.from(records.values(), (record) => record.link));
  return [...facts.links].flatMap(([link, target]) => {
    const layer = linkedLayer(target);
    if (!isLink(link) || layer === undefined || owned.has(link) || broken.has(layer)) return [];
    const record = byName.get(layer);
    return record?.link === link ? [] : [link];
  });
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
