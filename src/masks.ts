/** The masks of one home: a part of the composition root (see main.ts). */

import type { Logger } from 'pino';

import { asThinlayerError } from './core/errors.js';
import { keepMasks } from './core/masks.js';
import type { Masks } from './core/ports.js';
import type { HomeConfig } from './core/service.js';
import { publishedIn } from './cvmfs/published.js';
import type { HostFunctions } from './host/addon.js';
import { createMasks } from './store/masks.js';
import type { MasksOptions } from './store/masks.js';
import type { OpenedStore } from './store/open.js';

export type Derive = MasksOptions['derive'];

export function masksOf(
  { home, options }: HomeConfig,
  addon: HostFunctions,
  store: OpenedStore,
  derive: Derive,
  log: Logger,
): Masks {
  return createMasks({
    home,
    derive,
    published: (tree) => publishedIn((path, name) => addon.getXattr(path, name), tree),
    throwAway: (path, name) => store.throwAway(path, name),
    syncfs: options.sync === 'off' ? () => Promise.resolve() : (path) => addon.syncfs(path),
    left: (error) => tellLeft(error, log),
  });
}

export async function dropMasks(store: OpenedStore, masks: Masks, log: Logger): Promise<void> {
  try {
    await keepMasks(store, masks);
  } catch (error) {
    tellLeft(error, log);
  }
}

/** Masks that stay too long only take room. */
function tellLeft(error: unknown, log: Logger): void {
  log.warn({ err: error }, `masks that nobody needs stay: ${asThinlayerError(error).message}`);
}
