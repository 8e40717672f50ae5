/** Removal of a layer: one rename, the rest is cleaning up. */

import { ThinlayerError } from '../core/errors.js';
import { isErrno } from '../core/errno.js';
import type { LayerId } from '../core/model.js';
import type { StoreContext } from './context.js';
import { layerFiles, layerPaths, linkedLayer, linkPath } from './paths.js';
import { scanLinks } from './scan.js';
import { cannotMove } from './trash.js';

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
    await discard(store, id, link === undefined ? await linksTo(store, id) : [link]);
  } catch (error) {
    putBack();
    index.assess();
    throw isErrno(error, 'EBUSY') ? stillMounted(store, id) : error;
  }
}

async function discard(store: StoreContext, id: LayerId, links: readonly string[]): Promise<void> {
  const { root, merged } = layerPaths(store.paths.home, id);
  const paths = links.map((link) => linkPath(store.paths.home, link));
  try {
    await store.trash.throwAway(root, id, [{ do: 'expect unmounted', path: merged }], paths);
  } catch (error) {
    if (!cannotMove(error)) throw error;
    await deleteInPlace(store, id, paths);
  }
}

/**
 * Where it cannot be renamed into the trash. What makes the directory a layer goes first, so that the rest, should
 * we be killed, is taken for a broken layer and not for this one; it can be removed again.
 */
async function deleteInPlace(
  { disk, index, paths, trash }: StoreContext,
  id: LayerId,
  links: readonly string[],
): Promise<void> {
  const files = layerFiles(paths.home, id);
  await disk.change([{ do: 'unlink', path: files.record }]);
  try {
    await disk.change([files.lower, files.link, ...links].map((path) => ({ do: 'unlink', path })));
    await trash.deleteInPlace(files.root);
  } catch (error) {
    index.setFault(id, 'its removal failed on the way; remove it again');
    throw error;
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
