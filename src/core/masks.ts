/** Which masks are needed: those of the layers in CVMFS that some record names. */

import type { LayerStore, Masks } from './ports.js';

/** A broken layer may be mounted over masks, and does not tell which: then all stay. */
export async function keepMasks(store: LayerStore, masks: Masks): Promise<void> {
  if (store.broken().size > 0) return;
  await masks.keep([...store.list()].flatMap(({ record }) => record.thin ?? []));
}
