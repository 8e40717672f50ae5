/** The one door to every change of a layer. */

import { fromErrno } from '../core/errno.js';
import { ThinlayerError } from '../core/errors.js';
import type { LayerId } from '../core/model.js';
import type { StoreContext } from './context.js';

/** In the layer's turn, not after close(), and with every failure a ThinlayerError. */
export async function change<T>(
  store: StoreContext,
  op: string,
  layer: LayerId,
  work: () => Promise<T>,
): Promise<T> {
  try {
    if (store.closed)
      throw new ThinlayerError('unavailable', `cannot ${op} layer ${layer}: the store is closed`);
    return await store.turns.take(layer, work);
  } catch (error) {
    throw fromErrno(error, { op, layer });
  }
}
