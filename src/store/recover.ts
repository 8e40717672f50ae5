/** Carries out what the planner found, and fills the index. A mend that fails breaks that one layer. */

import { fromErrno, isErrno } from '../core/errno.js';
import type { LayerId } from '../core/model.js';
import { makeDirectory } from './context.js';
import type { StoreContext } from './context.js';
import { ifPresent } from './disk.js';
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
    await quietly(store, id, () => toTrash(store, layerFiles(store.paths.home, id).root, id));
  for (const layer of plan.layers) if (layer.mends.length > 0) await mendLayer(store, layer);
  index.assess();
}

export async function dropOrphanLinks(store: StoreContext, links: readonly string[]): Promise<void> {
  for (const link of links)
    await quietly(store, undefined, () => store.disk.unlink(linkPath(store.paths.home, link)));
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
      return disk.rename(files.draft, files.record);
    case 'finish commit':
      return finishCommit(store, record.id, mend.swap);
    case 'drop':
      if (mend.name === 'staging') return toTrash(store, files.staging, record.id);
      return ifPresent(disk.unlink(`${files.root}/${mend.name}`));
    case 'make work':
      return makeDirectory(disk, files.work, 0o700, owners.root);
    case 'remove merged':
      return quietly(store, record.id, () => disk.rmdir(files.merged));
    case 'write':
      return writeDerived(store, files[mend.name], textOf(store, record.id, mend.name));
    case 'relink':
      if (mend.stale) await disk.unlink(linkPath(paths.home, record.link));
      return disk.symlink(linkTarget(record.id), linkPath(paths.home, record.link));
  }
}

/** The same renames as those of the commit. Each may have been made already. */
async function finishCommit(store: StoreContext, id: LayerId, swap: boolean): Promise<void> {
  const files = layerFiles(store.paths.home, id);
  if (swap) {
    await toTrash(store, files.diff, id);
    await store.disk.rename(files.staging, files.diff);
  }
  await store.disk.rename(files.staged, files.record);
}

function textOf({ index }: StoreContext, id: LayerId, name: 'link' | 'lower' | 'committed'): string {
  const record = index.record(id);
  if (name === 'committed' || record === undefined) return '';
  return name === 'link' ? record.link : lowerText(index.ancestors(record).map((ancestor) => ancestor.link));
}

/** `lower` of a base layer is no file at all. */
async function writeDerived({ disk }: StoreContext, path: string, text: string): Promise<void> {
  if (text === '' && path.endsWith('/lower')) return ifPresent(disk.unlink(path));
  await disk.writeFile(`${path}.tmp`, text, path.endsWith('/committed') ? 0o600 : 0o644);
  await disk.rename(`${path}.tmp`, path);
}

async function toTrash({ trash }: StoreContext, path: string, id: LayerId): Promise<void> {
  try {
    trash.drop(await trash.take(path, id));
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
  }
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
