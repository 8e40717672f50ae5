/** A record to its place on disk. */

import { fromErrno } from '../core/errno.js';
import { ThinlayerError } from '../core/errors.js';
import type { LayerRecord } from '../core/model.js';
import type { StoreContext } from './context.js';
import { publishDraft, writeDraft } from './draft.js';
import { layerFiles } from './paths.js';

/** Replaces a record. After a failure the old one stands. */
export async function updateRecord(store: StoreContext, record: LayerRecord): Promise<void> {
  const { paths, disk, index } = store;
  const old = index.need(record.id, 'update');
  checkSameLayer(old, record);
  const files = layerFiles(paths.home, record.id);
  await syncContents(store, old, record);
  try {
    await disk.change([writeDraft(store, files.draft, record), publishDraft(files.draft, files.record)]);
  } catch (error) {
    await undone(store, record, disk.change([{ do: 'unlink', path: files.draft }]));
    throw error;
  }
  index.set(record, index.committed(record.id));
}

/** `thinlayer.sync=data`: what a layer holds is on disk before the record that says so. */
export async function syncContents(
  store: StoreContext,
  old: LayerRecord,
  record: LayerRecord,
): Promise<void> {
  if (store.sync !== 'data' || record.state !== 'applied') return;
  if (old.state === 'applied' && old.size === record.size) return;
  await store.syncfs(store.paths.home);
}

/** What a layer is called and stands on never changes. */
export function checkSameLayer(old: LayerRecord, record: LayerRecord): void {
  for (const name of ['id', 'parent', 'link'] as const) {
    if (old[name] === record[name]) continue;
    const message = `${name} of layer ${old.id} cannot change from ${old[name]} to ${record[name]}`;
    throw new ThinlayerError('invalid_argument', message, { op: 'update', layer: old.id });
  }
}

/** Waits for the undoing of a failed change. That it fails too is told here, as the caller throws the first failure. */
export async function undone(
  store: StoreContext,
  record: LayerRecord,
  undo: Promise<void>,
): Promise<boolean> {
  try {
    await undo;
    return true;
  } catch (error) {
    const failure = fromErrno(error, { op: 'undo', layer: record.id });
    store.log.error({ err: failure, layer: record.id }, `${failure.message}; the next start cleans up`);
    return false;
  }
}
