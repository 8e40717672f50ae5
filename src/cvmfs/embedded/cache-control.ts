/** The cache as an administrator sees it. Objects are named as `list` names them, or by their hash. */

import { ThinlayerError } from '../../core/errors.js';
import type { Cache, CacheFacts } from './cache/cache.js';
import type { CheckReport } from './cache/check.js';
import type { StoredObject } from './cache/layout.js';
import type { CvmfsMount } from './mount.js';
import { cachePath, parseObjectPath } from './object-id.js';
import type { ObjectId } from './object-id.js';

const MIB = 1 << 20;

/** JSON knows no Infinity. */
export interface ShownCacheFacts extends Omit<CacheFacts, 'limit'> {
  /** Null: none. */
  readonly limit: number | null;
}

export class CacheControl {
  readonly #cache: Cache;
  /** Pinned from here, and so to be let go here alone. */
  readonly #pinned = new Map<string, ObjectId>();

  readonly #mount: Pick<CvmfsMount, 'letGo' | 'forgetContents'>;

  constructor(cache: Cache, mount: Pick<CvmfsMount, 'letGo' | 'forgetContents'>) {
    this.#cache = cache;
    this.#mount = mount;
  }

  facts(): ShownCacheFacts {
    const { limit, ...facts } = this.#cache.facts;
    return { ...facts, limit: Number.isFinite(limit) ? limit : null };
  }

  list(): readonly StoredObject[] {
    return this.#cache.list().sort((a, b) => b.used - a.used);
  }

  /** Until the process ends; CVMFS_QUOTA_LIMIT is for longer, and as there 0 is no limit. */
  async setLimit(megabytes: string): Promise<ShownCacheFacts> {
    if (!/^\d{1,9}$/.test(megabytes)) {
      throw new ThinlayerError(
        'invalid_argument',
        `${JSON.stringify(megabytes)} is not a number of megabytes`,
      );
    }
    await this.#cache.setLimit(Number(megabytes) * MIB || Infinity);
    return this.facts();
  }

  async evict(object: string): Promise<ShownCacheFacts> {
    await this.#cache.evict(await this.#here(object));
    this.#mount.letGo();
    return this.facts();
  }

  async pin(object: string): Promise<ShownCacheFacts> {
    const id = await this.#here(object);
    if (!this.#pinned.has(cachePath(id))) this.#cache.pin(id);
    this.#pinned.set(cachePath(id), id);
    return this.facts();
  }

  unpin(object: string): ShownCacheFacts {
    const id = named(object);
    if (!this.#pinned.delete(cachePath(id))) {
      throw new ThinlayerError('not_found', `${object} is not pinned by hand`);
    }
    this.#cache.unpin(id);
    return this.facts();
  }

  /** What the kernel keeps of damaged objects is damaged as well. */
  async check(): Promise<CheckReport> {
    const report = await this.#cache.check();
    if (report.damaged.length > 0) await this.#mount.forgetContents();
    return report;
  }

  async #here(object: string): Promise<ObjectId> {
    const id = named(object);
    if (await this.#cache.find(id)) return id;
    throw new ThinlayerError('not_found', `${object} is not in the cache`);
  }
}

/** `b6/c1…` as in a listing, or `b6c1…` as in the attribute user.hash. */
function named(object: string): ObjectId {
  return parseObjectPath(object.includes('/') ? object : `${object.slice(0, 2)}/${object.slice(2)}`);
}
