/** Removal of a layer: one rename, the rest is cleaning up. */

import { lstat } from 'node:fs/promises';
import type { Stats } from 'node:fs';

import { ThinlayerError } from '../core/errors.js';
import { fromErrno, isErrno, isFull } from '../core/errno.js';
import type { LayerId } from '../core/model.js';
import type { StoreContext } from './context.js';
import { ifPresent } from './disk.js';
import { layerFiles, layerPaths, linkedLayer, linkPath } from './paths.js';
import { scanLinks } from './scan.js';

/**
 * Out of the index before anything is awaited, so that nobody makes a child meanwhile; back again after a failure.
 * A power cut may bring a removed layer back: nothing is synced here, as with overlay2.
 */
export async function removeLayer(store: StoreContext, id: LayerId): Promise<void> {
  const { index, paths } = store;
  if (!index.has(id)) return;
  if (index.hasChildren(id)) {
    throw new ThinlayerError('failed_precondition', `layer ${id} has children; remove them first`, {
      op: 'remove',
      layer: id,
    });
  }
  const link = index.record(id)?.link;
  const putBack = index.takeOut(id);
  try {
    const { root } = layerPaths(paths.home, id);
    await refuseMounted(store, id);
    if (await exists(root)) await discard(store, id, root);
  } catch (error) {
    putBack();
    index.assess();
    throw error;
  }
  await dropLinks(store, id, link);
}

async function discard(store: StoreContext, id: LayerId, root: string): Promise<void> {
  try {
    store.trash.drop(await store.trash.take(root, id));
  } catch (error) {
    if (!isFull(error)) throw error;
    await deleteInPlace(store, id);
  }
}

/**
 * On a disk so full that nothing can be renamed. What makes the directory a layer goes first, so that the rest, should
 * we be killed, is taken for a broken layer and not for this one; it can be removed again.
 */
async function deleteInPlace({ disk, index, paths, trash }: StoreContext, id: LayerId): Promise<void> {
  const files = layerFiles(paths.home, id);
  await ifPresent(disk.unlink(files.record));
  try {
    for (const path of [files.lower, files.link]) await ifPresent(disk.unlink(path));
    await trash.deleteInPlace(files.root);
  } catch (error) {
    index.setFault(id, 'its removal failed on the way; remove it again');
    throw error;
  }
}

/** The layer is gone already: a link that stays is dropped by the next start. */
async function dropLinks(store: StoreContext, layer: LayerId, link: string | undefined): Promise<void> {
  const { disk, paths, log } = store;
  try {
    const links = link === undefined ? await linksTo(store, layer) : [link];
    for (const name of links) await ifPresent(disk.unlink(linkPath(paths.home, name)));
  } catch (error) {
    const failure = fromErrno(error, { op: 'remove', layer });
    log.warn({ err: failure, layer }, `${failure.message}; the next start drops that link`);
  }
}

/** For a broken layer, whose record does not tell. */
async function linksTo({ paths }: StoreContext, layer: LayerId): Promise<string[]> {
  const links = await scanLinks(paths.home);
  return [...links].filter(([, target]) => linkedLayer(target) === layer).map(([link]) => link);
}

async function refuseMounted(store: StoreContext, id: LayerId): Promise<void> {
  if (!(await isMounted(store, id))) return;
  const message = `layer ${id} is still mounted on ${layerPaths(store.paths.home, id).merged}; detach it first`;
  throw new ThinlayerError('failed_precondition', message, { op: 'remove', layer: id });
}

/** Whether `merged` is on another file system than the layer's directory: overlayfs has a device number of its own. */
export async function isMounted({ paths }: StoreContext, id: LayerId): Promise<boolean> {
  const { root, merged } = layerPaths(paths.home, id);
  const [above, below] = await Promise.all([statOf(root), statOf(merged)]);
  return above !== undefined && below !== undefined && above.dev !== below.dev;
}

export async function exists(path: string): Promise<boolean> {
  return (await statOf(path)) !== undefined;
}

async function statOf(path: string): Promise<Stats | undefined> {
  try {
    return await lstat(path);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}
