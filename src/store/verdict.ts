/**
 * What one layer's directory means, by itself. Pure.
 *
 * That an image layer is `created` and its `diff` holds files tells nothing: BuildKit makes its layers with Create,
 * writes them through a mount and never applies a tar. An apply that was cut off is known by `staging` instead.
 */

import type { LayerRecord } from '../core/model.js';
import type { LayerFacts, Overlay2Facts, RecordFacts } from './facts.js';
import { LAYER_NAMES } from './paths.js';

export type Verdict =
  | { readonly is: 'layer'; readonly record: LayerRecord; readonly repairs: readonly Repair[] }
  /** No usable record, but the files of Docker's driver. `damage`: why the record is not usable, if there is one. */
  | {
      readonly is: 'overlay2';
      readonly files: Overlay2Facts;
      readonly damage: string | null;
      readonly repairs: readonly Repair[];
    }
  | { readonly is: 'half-made' }
  | { readonly is: 'broken'; readonly reason: string };

/** What is left to do of a change that was under way. */
export type Repair =
  /** layer.json.tmp is the record. */
  | { readonly do: 'promote draft' }
  /** `staging`, if it is still there, is `diff`, and layer.json.staged the record. */
  | { readonly do: 'finish commit'; readonly swap: boolean }
  | { readonly do: 'drop'; readonly name: 'layer.json.tmp' | 'layer.json.staged' | 'staging' };

export function judge(layer: LayerFacts, mounted: boolean): Verdict {
  if (layer.fault !== null) return { is: 'broken', reason: layer.fault };
  const newer = [layer.record, layer.draft, layer.staged].find((r) => r.found === 'damage' && r.newer);
  if (newer?.found === 'damage') return { is: 'broken', reason: newer.reason };

  const { repairs, record } = settle(layer, mounted);
  if (record.found === 'record') return { is: 'layer', record: record.record, repairs };
  if (isHalfMade(layer)) return mounted ? { is: 'broken', reason: mountedReason } : { is: 'half-made' };
  const damage = record.found === 'damage' ? record.reason : null;
  if (layer.overlay2 && isKnownToOverlay2(layer)) {
    return { is: 'overlay2', files: layer.overlay2, damage, repairs };
  }
  return { is: 'broken', reason: damage ?? foreignReason(layer) };
}

/** The record that counts, after what was under way is carried to its end or dropped. */
function settle(layer: LayerFacts, mounted: boolean): { record: RecordFacts; repairs: Repair[] } {
  const repairs: Repair[] = [];
  let record = layer.record;
  if (layer.draft.found === 'record') {
    record = layer.draft;
    repairs.push({ do: 'promote draft' });
  } else if (layer.draft.found === 'damage') repairs.push({ do: 'drop', name: 'layer.json.tmp' });

  const swap = layer.entries.includes('staging');
  // Under a mount `diff` may not be exchanged, and what it holds may not be lost; the commit was not acknowledged then.
  if (layer.staged.found === 'record' && !(swap && (mounted || layer.diffFilled))) {
    record = layer.staged;
    repairs.push({ do: 'finish commit', swap });
    return { record, repairs };
  }
  if (layer.staged.found !== 'none') repairs.push({ do: 'drop', name: 'layer.json.staged' });
  if (swap) repairs.push({ do: 'drop', name: 'staging' });
  return { record, repairs };
}

/**
 * A Create that ended before its record was written: only names that we make, nothing in `diff`, and either the draft
 * that we begin with or so little that Docker's driver would not know the layer either.
 */
function isHalfMade(layer: LayerFacts): boolean {
  if (layer.record.found !== 'none' || layer.overlay2?.filled !== false) return false;
  if (!layer.entries.every((name) => LAYER_NAMES.has(name))) return false;
  return layer.draft.found === 'damage' || !isKnownToOverlay2(layer);
}

/** Also if a power cut emptied the files: `l/` may tell the rest. */
function isKnownToOverlay2({ entries }: LayerFacts): boolean {
  return entries.includes('link') || entries.includes('lower');
}

const mountedReason = 'it has no record, but is mounted; unmount it, then repair the layer';

function foreignReason(layer: LayerFacts): string {
  const foreign = layer.entries.find((name) => !LAYER_NAMES.has(name)) ?? 'diff';
  return `its directory has neither a record nor the files of overlay2, but holds ${JSON.stringify(foreign)}; move it out of the home if it is no layer`;
}
