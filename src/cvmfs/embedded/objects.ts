/** Objects, wherever they are: in the cache, or on a server and then in the cache. */

import { isErrno } from '../../core/errno.js';
import { ThinlayerError } from '../../core/errors.js';
import type { Cache } from './cache/cache.js';
import type { Fetcher } from './fetch/fetcher.js';
import { receiveObject, storedBound } from './fetch/receive.js';
import type { Encoding } from './fetch/receive.js';
import { noExternalServers } from './external-files.js';
import type { ExternalPart } from './external-files.js';
import { Flights } from './flights.js';
import { cachePath, hashText, objectPath } from './object-id.js';
import type { ObjectId } from './object-id.js';

export interface FetchHow extends Encoding {
  /** `size` is but a bound: nobody told how large it is. */
  readonly sizeUnknown?: boolean;
  readonly signal?: AbortSignal | undefined;
  /** At `.cvmfsalt-…`: root catalog and certificate of a repository whose manifest says so. */
  readonly alternative?: boolean;
  /** Somebody looked into the cache for it just now, and did not find it. */
  readonly missed?: boolean;
  /** Of an external file: it is not at its name, but there. */
  readonly external?: ExternalPart | undefined;
}

export class Objects {
  readonly cache: Cache;
  readonly #fetcher: Fetcher;
  readonly #external: () => Fetcher;
  readonly #flights = new Flights<string>();

  /** `external`: throws if there is no server of external files. */
  constructor(cache: Cache, fetcher: Fetcher, external: () => Fetcher = noExternalServers) {
    this.cache = cache;
    this.#fetcher = fetcher;
    this.#external = external;
  }

  /**
   * The path of the object's file, in the cache, verified and decompressed. Rejects with `unavailable` (every way to it
   * failed; the message names each), `data_loss` (refused from every server), `resource_exhausted` (no room), `aborted`.
   */
  async fetch(id: ObjectId, how: FetchHow): Promise<string> {
    const here: ObjectId = { ...id, raw: !how.compressed };
    // A size may be wrong that a profile tells, or a catalog: that must not fail those who know better.
    return await this.#flights.join(`${cachePath(here)} ${how.size}`, how.signal, async (signal) => {
      // What came in since then is known without a look at the disk.
      const found = how.missed && !this.cache.knows(here) ? null : await this.cache.find(here);
      return found ?? (await this.#fetchInto(here, { ...how, signal }));
    });
  }

  /**
   * What `read` makes of the object's file. Where it rejects, and the file was here before and is not as it came, a power cut
   * damaged it: then it is fetched anew and read again, once.
   */
  async read<T>(id: ObjectId, how: FetchHow, read: (path: string) => Promise<T>): Promise<T> {
    const here: ObjectId = { ...id, raw: !how.compressed };
    const wasHere = this.cache.knows(here);
    const path = await this.fetch(id, how);
    try {
      return await read(path);
    } catch (error) {
      if (!wasHere || (await this.cache.verify(here))) throw error;
      return await read(await this.fetch(id, how));
    }
  }

  /** A full disk makes room once: the quota may be larger than what others leave of the disk. */
  async #fetchInto(id: ObjectId, how: FetchHow): Promise<string> {
    try {
      return await this.#fetch(id, how);
    } catch (error) {
      if (!isDiskFull(error) || !(await this.cache.evictBytes(how.sizeUnknown ? 0 : how.size))) throw error;
      return await this.#fetch(id, how);
    }
  }

  async #fetch(id: ObjectId, how: FetchHow): Promise<string> {
    const fetcher = how.external ? this.#external() : this.#fetcher;
    return await fetcher.get({
      path: how.external?.path ?? serverPath(id, how.alternative ?? false),
      range: how.external?.range,
      bound: storedBound(how),
      signal: how.signal,
      receive: (body) =>
        this.cache.add(id, how.sizeUnknown ? null : how.size, (sink) => receiveObject(body, id, how, sink)),
      accept: (path) => Promise.resolve(path),
    });
  }
}

/** `resource_exhausted` is the quota's word as well, which has evicted already. */
function isDiskFull(error: unknown): boolean {
  return (
    error instanceof ThinlayerError && (isErrno(error.cause, 'ENOSPC') || isErrno(error.cause, 'EDQUOT'))
  );
}

function serverPath(id: ObjectId, alternative: boolean): string {
  return alternative ? `.cvmfsalt-${hashText(id)}${id.kind}` : `data/${objectPath(id)}`;
}
