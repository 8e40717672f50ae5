/**
 * Objects that are in the cache, and that the mount cannot read as what the catalogs say they are. Those that a power cut or
 * a failing disk changed are fetched anew; those that are as they came are so on the server, whoever published them.
 */

import { ThinlayerError } from '../../core/errors.js';
import type { Cache } from './cache/cache.js';
import type { Clock } from './clock.js';
import type { Miss } from './mount.js';
import { parseObjectPath } from './object-id.js';

/** An object that was as it came is not read through again for that long: each look at a bad catalog would. */
const SOUND_MS = 60_000;
const MOST = 1000;

export interface DamageOptions {
  readonly cache: Cache;
  readonly clock: Pick<Clock, 'ticks'>;
  readonly log: { warn(facts: object, message: string): void };
}

export class Damage {
  readonly #options: DamageOptions;
  /** When each was found to be as it came. */
  readonly #sound = new Map<string, number>();

  constructor(options: DamageOptions) {
    this.#options = options;
  }

  /** Takes it out of the cache. Rejects with `data_loss` if it is as it came. */
  async clear({ object, path }: Pick<Miss, 'object' | 'path'>): Promise<void> {
    const { cache, log } = this.#options;
    if (this.#wasSound(object)) throw unreadable(object);
    if (await cache.verify(parseObjectPath(object))) {
      this.#noteSound(object);
      throw unreadable(object);
    }
    log.warn({ path, object }, `${path}: ${object} was damaged in the cache, and is fetched anew`);
  }

  #wasSound(object: string): boolean {
    const at = this.#sound.get(object);
    return at !== undefined && this.#options.clock.ticks() - at < SOUND_MS;
  }

  #noteSound(object: string): void {
    if (this.#sound.size >= MOST) this.#sound.clear();
    this.#sound.set(object, this.#options.clock.ticks());
  }
}

function unreadable(object: string): ThinlayerError {
  return new ThinlayerError(
    'data_loss',
    `${object} is as the server has it, and cannot be read as what the catalogs say it is; its publisher has to mend it`,
    { op: 'read' },
  );
}
