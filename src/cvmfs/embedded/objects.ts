/** Objects, wherever they are: in the cache, or on a server and then in the cache. */

import type { Cache } from './cache/cache.js';
import type { Fetcher } from './fetch/fetcher.js';
import { receiveObject, storedBound } from './fetch/receive.js';
import type { Encoding } from './fetch/receive.js';
import { Flights } from './flights.js';
import { hashText, objectPath } from './object-id.js';
import type { ObjectId } from './object-id.js';

export interface FetchHow extends Encoding {
  readonly signal?: AbortSignal | undefined;
  /** At `.cvmfsalt-…`: root catalog and certificate of a repository whose manifest says so. */
  readonly alternative?: boolean;
}

export class Objects {
  readonly cache: Cache;
  readonly #fetcher: Fetcher;
  readonly #flights = new Flights<string>();

  constructor(cache: Cache, fetcher: Fetcher) {
    this.cache = cache;
    this.#fetcher = fetcher;
  }

  /**
   * The path of the object's file, in the cache, verified and decompressed. Rejects with `unavailable` (every way to it
   * failed; the message names each), `data_loss` (refused from every server), `resource_exhausted` (no room), `aborted`.
   */
  async fetch(id: ObjectId, how: FetchHow): Promise<string> {
    return await this.#flights.join(objectPath(id), how.signal, async (signal) => {
      return (await this.cache.find(id)) ?? (await this.#fetch(id, { ...how, signal }));
    });
  }

  async #fetch(id: ObjectId, how: FetchHow): Promise<string> {
    return await this.#fetcher.get({
      path: serverPath(id, how.alternative ?? false),
      bound: storedBound(how),
      signal: how.signal,
      receive: (body) => this.cache.add(id, how.size, (sink) => receiveObject(body, id, how, sink)),
      accept: (path) => Promise.resolve(path),
    });
  }
}

function serverPath(id: ObjectId, alternative: boolean): string {
  return alternative ? `.cvmfsalt-${hashText(id)}${id.kind}` : `data/${objectPath(id)}`;
}
