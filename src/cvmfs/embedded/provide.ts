/** Brings what the mount misses into the cache. */

import { constants } from 'node:os';

import { asThinlayerError, ThinlayerError } from '../../core/errors.js';
import type { CatalogPins } from './cache/catalog-pins.js';
import type { Clock } from './clock.js';
import { externalPart } from './external-files.js';
import type { Damage } from './damage.js';
import type { Failures } from './failures.js';
import type { Miss } from './mount.js';
import { parseObjectPath } from './object-id.js';
import type { Repository } from './repository.js';

/** Of an object whose size no catalog tells. */
const MAX_UNKNOWN_BYTES = 1024 ** 3;

export interface ProvideContext {
  readonly repository: Repository;
  readonly pins: CatalogPins;
  readonly damage: Damage;
  readonly failures: Failures;
  readonly clock: Pick<Clock, 'ticks'>;
  /** See CvmfsMount. */
  readonly letGo: () => void;
}

/** The errno for those who wait: 0 when the object is in the cache. */
export async function provide(context: ProvideContext, miss: Miss): Promise<number> {
  const { damage, pins, failures, clock } = context;
  if (failures.isRefused(miss.object)) return constants.errno.EIO;
  const began = clock.ticks();
  try {
    if (miss.damaged) await damage.clear(miss);
    await fetchMissed(context, miss);
    if (miss.object.endsWith('C')) pins.hold(miss.object);
    return 0;
  } catch (failure) {
    failures.failed(miss, asThinlayerError(failure), clock.ticks() - began);
    return constants.errno.EIO;
  }
}

async function fetchMissed({ repository, letGo }: ProvideContext, miss: Miss): Promise<void> {
  const size = miss.size || MAX_UNKNOWN_BYTES;
  const external = externalPart(miss);
  const how = { compressed: miss.compressed, size, sizeUnknown: miss.size === 0, external, missed: true };
  const id = parseObjectPath(miss.object);
  await repository.fetchObject(id, how).catch(async (error: unknown) => {
    if (!isExhausted(error)) throw error;
    letGo();
    await repository.fetchObject(id, how);
  });
}

/** What was evicted may take room yet. */
function isExhausted(error: unknown): boolean {
  return error instanceof ThinlayerError && error.code === 'resource_exhausted';
}
