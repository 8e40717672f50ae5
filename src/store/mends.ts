/** What is missing of a layer beside its record. Pure. */

import type { LayerRecord } from '../core/model.js';
import type { LayerFacts } from './facts.js';
import { LINK_LENGTH, linkTarget, lowerSize } from './paths.js';
import type { Repair } from './verdict.js';

/** A mend of one layer, in the order in which they are made. */
export type Mend =
  | Repair
  | { readonly do: 'make work' }
  | { readonly do: 'remove merged' }
  | { readonly do: 'write'; readonly name: 'link' | 'lower' | 'committed' }
  /** `l/LINK` is missing, or points elsewhere. */
  | { readonly do: 'relink'; readonly stale: boolean };

export interface Wanted {
  /** Number of ancestors; undefined for a layer whose chain is broken: its `lower` is left as it is. */
  readonly depth: number | undefined;
  readonly committed: boolean;
  readonly mounted: boolean;
}

/** By size, not by content: a power cut leaves these files empty or missing, nothing else changes them. */
export function mendsOf(
  layer: LayerFacts,
  record: LayerRecord,
  wanted: Wanted,
  links: ReadonlyMap<string, string>,
): Mend[] {
  const mends: Mend[] = [];
  const has = (name: string) => layer.entries.includes(name);
  const target = links.get(record.link);
  if (record.parent !== null && !has('work')) mends.push({ do: 'make work' });
  if (layer.linkSize !== LINK_LENGTH) mends.push({ do: 'write', name: 'link' });
  if (wanted.depth !== undefined && layer.lowerSize !== lowerSize(wanted.depth)) {
    mends.push({ do: 'write', name: 'lower' });
  }
  if (wanted.committed && !has('committed')) mends.push({ do: 'write', name: 'committed' });
  if (target !== linkTarget(layer.id)) mends.push({ do: 'relink', stale: target !== undefined });
  if (has('merged') && !wanted.mounted) mends.push({ do: 'remove merged' });
  return mends;
}
