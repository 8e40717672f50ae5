/** Carries out what the planner found, and fills the index. A mend that fails breaks that one layer. */

import { fromErrno } from '../core/errno.js';
import type { DiskChange } from '../core/disk.js';
import type { LayerId, LayerRecord } from '../core/model.js';
import type { StoreContext } from './context.js';
import { publishDraft } from './draft.js';
import { layerFiles, linkPath, linkTarget, lowerText } from './paths.js';
import type { Mend } from './mends.js';
import type { PlannedLayer, RecoveryPlan } from './plan.js';

export async function recover(store: StoreContext, plan: RecoveryPlan): Promise<void> {
  const { index, log } = store;
  for (const { layer, note } of plan.notes) log.warn({ layer }, note);
  for (const [id, reason] of plan.faults) index.setFault(id, reason);
  for (const { record, committed } of plan.layers) {
    index.set(record, committed);
    index.holdParent(record);
  }
  for (const id of plan.halfMade)
    await quietly(store, id, () => store.trash.discard(layerFiles(store.paths.home, id).root, id));
  for (const layer of plan.layers) if (layer.mends.length > 0) await mendLayer(store, layer);
  index.assess();
}

export async function dropOrphanLinks(store: StoreContext, links: readonly string[]): Promise<void> {
  for (const link of links)
    await quietly(store, undefined, () =>
      store.disk.change([{ do: 'unlink', path: linkPath(store.paths.home, link) }]),
    );
}

async function mendLayer(store: StoreContext, layer: PlannedLayer): Promise<void> {
  const { id } = layer.record;
  try {
    for (const mend of layer.mends) await carryOut(store, layer, mend);
    store.log.info({ layer: id, mends: layer.mends.map((mend) => mend.do) }, 'layer mended');
  } catch (error) {
    store.index.setFault(id, fromErrno(error, { op: 'recover', layer: id }).message);
  }
}

async function carryOut(store: StoreContext, { record }: PlannedLayer, mend: Mend): Promise<void> {
  const { disk, paths, owners } = store;
  const files = layerFiles(paths.home, record.id);
  switch (mend.do) {
    case 'promote draft':
      return disk.change([publishDraft(files.draft, files.record)]);
    case 'finish commit':
      return finishCommit(store, record.id, mend.swap);
    case 'drop':
      if (mend.name === 'staging') return store.trash.discard(files.staging, record.id);
      return disk.change([{ do: 'unlink', path: `${files.root}/${mend.name}` }]);
    case 'make work':
      return disk.change([{ do: 'mkdir', path: files.work, mode: 0o700, owner: owners.root }]);
    case 'remove merged':
      return quietly(store, record.id, () => disk.change([{ do: 'rmdir', path: files.merged }]));
    case 'write':
      return writeDerived(store, files[mend.name], textOf(store, record.id, mend.name));
    case 'relink':
      return relink(store, record, mend.stale);
  }
}

/** The same renames as those of the commit. Each may have been made already. */
async function finishCommit(store: StoreContext, id: LayerId, swap: boolean): Promise<void> {
  const files = layerFiles(store.paths.home, id);
  const exchange = { do: 'rename', from: files.staging, to: files.diff } as const;
  await store.disk.change([...(swap ? [exchange] : []), publishDraft(files.staged, files.record)]);
}

function relink({ disk, paths }: StoreContext, record: LayerRecord, stale: boolean): Promise<void> {
  const path = linkPath(paths.home, record.link);
  const made: DiskChange = { do: 'symlink', target: linkTarget(record.id), path };
  return disk.change(stale ? [{ do: 'unlink', path }, made] : [made]);
}

function textOf({ index }: StoreContext, id: LayerId, name: 'link' | 'lower' | 'committed'): string {
  const record = index.record(id);
  if (name === 'committed' || record === undefined) return '';
  return name === 'link' ? record.link : lowerText(index.ancestors(record).map((ancestor) => ancestor.link));
}

/** `lower` of a base layer is no file at all. */
async function writeDerived({ disk }: StoreContext, path: string, text: string): Promise<void> {
  if (text === '' && path.endsWith('/lower')) return disk.change([{ do: 'unlink', path }]);
  const mode = path.endsWith('/committed') ? 0o600 : 0o644;
  await disk.change([
    { do: 'write', path: `${path}.tmp`, text, mode, sync: false },
    { do: 'rename', from: `${path}.tmp`, to: path },
  ]);
}

/** For cleaning up, which no layer needs: a failure is told, and tried again at the next start. */
async function quietly(
  { log }: StoreContext,
  layer: LayerId | undefined,
  work: () => Promise<void>,
): Promise<void> {
  try {
    await work();
  } catch (error) {
    const failure = fromErrno(error, { op: 'recover', ...(layer === undefined ? {} : { layer }) });
    log.warn({ err: failure, layer }, failure.message);
  }
}
