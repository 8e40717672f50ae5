/** A record on its way to disk: written beside its place, synced, renamed. */

import type { Reversible } from '../core/disk.js';
import type { LayerRecord } from '../core/model.js';
import type { StoreContext } from './context.js';
import { formatRecord } from './records.js';

/** The whole record at `path`, durable unless the options leave that to the kernel. */
export function writeDraft({ sync }: StoreContext, path: string, record: LayerRecord): Reversible {
  return { do: 'write', path, text: formatRecord(record), mode: 0o644, sync: sync !== 'off' };
}

/** Atomic. Not synced by itself: a complete draft counts as the record at recovery. */
export function publishDraft(draft: string, record: string): Reversible {
  return { do: 'rename', from: draft, to: record };
}
