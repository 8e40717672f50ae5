/** Removal of a layer: one rename, the rest is cleaning up. */

import { ThinlayerError } from '../core/errors.js';
import { fromErrno, isErrno } from '../core/errno.js';
import type { LayerId } from '../core/model.js';
import type { StoreContext } from './context.js';
import { layerPaths, linkedLayer, linkPath } from './paths.js';
import { scanLinks } from './scan.js';

/**
 * Out of the index before anything is awaited, so that nobody makes a child meanwhile; back again after a failure.
 * A power cut may bring a removed layer back: nothing is synced here, as with overlay2.
 */
export async function removeLayer(store: StoreContext, id: LayerId): Promise<void> {
  const { index, paths, trash } = store;
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
    const { root, merged } = layerPaths(paths.home, id);
    await trash.throwAway(root, id, [{ do: 'expect unmounted', path: merged }]);
  } catch (error) {
    putBack();
    throw isErrno(error, 'EBUSY') ? stillMounted(store, id) : error;
  }
  await dropLinks(store, id, link);
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
