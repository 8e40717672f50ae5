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
  const has = (name: string) => layer.entries.includes(name);
  const lower = wanted.depth === undefined || layer.lowerSize === lowerSize(wanted.depth);
  const target = links.get(record.link);
  const needed: [boolean, Mend][] = [
    [record.parent !== null && !has('work'), { do: 'make work' }],
    [layer.linkSize !== LINK_LENGTH, { do: 'write', name: 'link' }],
    [!lower, { do: 'write', name: 'lower' }],
    [wanted.committed && !has('committed'), { do: 'write', name: 'committed' }],
    [target !== linkTarget(layer.id), { do: 'relink', stale: target !== undefined }],
    [has('merged') && !wanted.mounted, { do: 'remove merged' }],
  ];
  return needed.filter(([missing]) => missing).map(([, mend]) => mend);
}
