/** Removal of a layer: one rename, the rest is cleaning up. */

import { ThinlayerError } from '../core/errors.js';
import { fromErrno, isErrno, isFull } from '../core/errno.js';
import type { LayerId } from '../core/model.js';
import type { StoreContext } from './context.js';
import { layerFiles, layerPaths, linkedLayer, linkPath } from './paths.js';
import { scanLinks } from './scan.js';

/**
 * Out of the index before anything is awaited, so that nobody makes a child meanwhile; back again after a failure.
 * A power cut may bring a removed layer back: nothing is synced here, as with overlay2.
 */
export async function removeLayer(store: StoreContext, id: LayerId): Promise<void> {
  const { index } = store;
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
    await discard(store, id);
  } catch (error) {
    putBack();
    index.assess();
    throw isErrno(error, 'EBUSY') ? stillMounted(store, id) : error;
  }
  await dropLinks(store, id, link);
}

async function discard(store: StoreContext, id: LayerId): Promise<void> {
  const { root, merged } = layerPaths(store.paths.home, id);
  try {
    await store.trash.throwAway(root, id, [{ do: 'expect unmounted', path: merged }]);
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
  await disk.change([{ do: 'unlink', path: files.record }]);
  try {
    await disk.change([files.lower, files.link].map((path) => ({ do: 'unlink', path })));
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
    await disk.change(links.map((name) => ({ do: 'unlink', path: linkPath(paths.home, name) })));
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

function stillMounted({ paths }: StoreContext, id: LayerId): ThinlayerError {
  const message = `layer ${id} is still mounted on ${layerPaths(paths.home, id).merged}; detach it first`;
  return new ThinlayerError('failed_precondition', message, { op: 'remove', layer: id });
}
