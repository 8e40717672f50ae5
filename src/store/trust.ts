/** Which records a home has, by what its directories say of each other. Pure. */

import { ThinlayerError } from '../core/errors.js';
import type { LayerId, LayerRecord } from '../core/model.js';
import { ancestorsOf, chainFaults } from './chains.js';
import type { HomeFacts, LayerFacts } from './facts.js';
import { deriveRecord, linkOwners } from './overlay2.js';
import type { Surroundings } from './overlay2.js';
import { isLink, linkedLayer, lowerText } from './paths.js';
import type { Verdict } from './verdict.js';

type Verdicts = ReadonlyMap<LayerFacts, Verdict>;
type Records = Map<LayerId, LayerRecord>;
type Faults = Map<LayerId, string>;

/** Records of all layers that have one, `known` ones too, and why the others have none. */
export function trust(
  facts: HomeFacts,
  verdicts: Verdicts,
  known: ReadonlyMap<LayerId, LayerRecord>,
): { records: Records; faults: Faults } {
  const records = new Map(known);
  const faults: Faults = new Map();
  const owners = ownersOf(facts, known);
  const around = surroundings(facts, owners, known);
  for (const [layer, verdict] of verdicts) {
    const record = recordOf(layer, verdict, around, faults);
    const fault = record && faultOf(layer, record, owners);
    if (fault !== undefined) faults.set(layer.id, fault);
    else if (record !== undefined) records.set(layer.id, record);
  }
  doubtLowers(verdicts, records, faults);
  return { records, faults };
}

function recordOf(
  layer: LayerFacts,
  verdict: Verdict,
  around: Surroundings,
  faults: Faults,
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

function faultOf(
  layer: LayerFacts,
  record: LayerRecord,
  owners: ReadonlyMap<string, LayerId>,
): string | undefined {
  const owner = owners.get(record.link);
  const swaps = layer.staged.found === 'record' && layer.entries.includes('staging');
  if (!layer.entries.includes('diff') && !swaps) {
    return 'its diff directory is gone; restore it, or remove the layer';
  }
  if (owner === undefined || owner === layer.id) return undefined;
  return `its link ${record.link} belongs to layer ${owner}: is one a copy of the other?`;
}

/**
 * Docker's driver believes a `lower` file, we believe the chain of parents. Where a layer without a record tells the one
 * and the other, nobody knows which files it had.
 */
function doubtLowers(verdicts: Verdicts, records: Records, faults: Faults): void {
  if (![...verdicts.values()].some((verdict) => verdict.is === 'overlay2')) return;
  const broken = chainFaults(records, faults);
  const doubted: LayerId[] = [];
  for (const [{ id }, verdict] of verdicts) {
    const record = records.get(id);
    if (verdict.is !== 'overlay2' || !record || broken.has(id)) continue;
    const chain = ancestorsOf((parent) => records.get(parent), record);
    if (verdict.files.lower !== lowerText(chain.map((ancestor) => ancestor.link))) doubted.push(id);
  }
  for (const id of doubted) {
    records.delete(id);
    faults.set(
      id,
      'its lower file lists other layers than those of its parent; make it right, or remove the layer',
    );
  }
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
