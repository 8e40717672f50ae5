/**
 * Catalogs that the mount reads are not evicted: each request may need them, and none is found without. But only as many
 * as leave the files half of the quota: the rest is fetched again when it was evicted.
 */

import { parseObjectPath } from '../object-id.js';
import type { Cache } from './cache.js';

export class CatalogPins {
  readonly #cache: Cache;
  readonly #pinned = new Set<string>();

  constructor(cache: Cache) {
    this.#cache = cache;
  }

  /** One that is about to be read. */
  hold(catalog: string): void {
    const { pinnedBytes, limit } = this.#cache.facts;
    if (this.#pinned.has(catalog) || pinnedBytes > limit / 2) return;
    this.#pinned.add(catalog);
    this.#cache.pin(parseObjectPath(catalog));
  }

  /** `used`: objects in use, among them all catalogs of the mount. Others are let go. */
  keep(used: readonly string[]): void {
    const catalogs = new Set(used.filter((object) => object.endsWith('C')));
    for (const catalog of [...this.#pinned].filter((pinned) => !catalogs.has(pinned))) {
      this.#pinned.delete(catalog);
      this.#cache.unpin(parseObjectPath(catalog));
    }
    for (const catalog of catalogs) this.hold(catalog);
  }
}
