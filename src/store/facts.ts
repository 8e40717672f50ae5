/** What a home looked like when it was read: the planner's input. Values only. */

import type { LayerId, LayerRecord } from '../core/model.js';

export type RecordFacts =
  | { readonly found: 'none' }
  | { readonly found: 'record'; readonly record: LayerRecord }
  /** `newer`: written by a later version, so nothing about the layer may be guessed. */
  | { readonly found: 'damage'; readonly reason: string; readonly newer: boolean };

export interface LayerFacts {
  readonly id: LayerId;
  /** Why the directory could not be read; all else is then empty. */
  readonly fault: string | null;
  /** Names in the directory. */
  readonly entries: readonly string[];
  readonly record: RecordFacts;
  readonly draft: RecordFacts;
  readonly staged: RecordFacts;
  /** Bytes of `link` and `lower`, 0 if missing. */
  readonly linkSize: number;
  readonly lowerSize: number;
  /** Whether `diff` holds anything. Looked at only where there is a `staging`, else false. */
  readonly diffFilled: boolean;
  /** Read only where there is no record. */
  readonly overlay2: Overlay2Facts | null;
}

/** What Docker's own driver keeps. */
export interface Overlay2Facts {
  readonly link: string;
  readonly lower: string;
  /** Whether `diff` or `work` hold anything. */
  readonly filled: boolean;
}

export interface HomeFacts {
  readonly layers: readonly LayerFacts[];
  /** Entries of `l/`: name to target. */
  readonly links: ReadonlyMap<string, string>;
}
