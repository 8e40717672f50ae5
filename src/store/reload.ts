/** One layer read again, after somebody mended it on disk. */

import { ThinlayerError } from '../core/errors.js';
import type { LayerId, LayerInfo } from '../core/model.js';
import type { StoreContext } from './context.js';
import { exists, statOf } from './exists.js';
import { layerPaths } from './paths.js';
import { planRecovery } from './plan.js';
import { recover } from './recover.js';

import { scanLayer, scanLinks } from './scan.js';

/** Undefined if it has no directory any more. Rejects with `data_loss`, and the reason, if it is still broken. */
export async function reloadLayer(store: StoreContext, id: LayerId): Promise<LayerInfo | undefined> {
  const { index, paths } = store;
  const found = await exists(layerPaths(paths.home, id).root);
  const mounted = new Set((await isMounted(store, id)) ? [id] : []);
  const links = await scanLinks(paths.home);
  const layers = found ? [scanLayer(paths.home, id)] : [];
  // Nothing is awaited from here until the index is filled again: nobody sees the layer missing.
  index.takeOut(id);
  await recover(store, planRecovery({ layers, links }, mounted, index.records()));
  const reason = index.broken().get(id);
  if (reason !== undefined) {
    throw new ThinlayerError('data_loss', `layer ${id} is still broken: ${reason}`, {
      op: 'reload',
      layer: id,
    });
  }
  return index.get(id);
}

/** Whether `merged` is on another file system than the layer's directory: overlayfs has a device number of its own. */
async function isMounted({ paths }: StoreContext, id: LayerId): Promise<boolean> {
  const { root, merged } = layerPaths(paths.home, id);
  const [above, below] = await Promise.all([statOf(root), statOf(merged)]);
  return above !== undefined && below !== undefined && above.dev !== below.dev;
}
