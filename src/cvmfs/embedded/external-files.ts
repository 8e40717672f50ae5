/**
 * External files: their catalog has their hash, but their contents are on a server of their own (CVMFS_EXTERNAL_URL), by
 * their path in the repository. A chunk of one is a range of bytes of it.
 */

import { ThinlayerError } from '../../core/errors.js';
import type { ByteString } from '../../core/tree.js';
import type { FetchCounters } from './fetch/counters.js';
import { Fetcher } from './fetch/fetcher.js';
import type { FetchOptions } from './fetch/fetcher.js';
import type { ByteRange } from './fetch/range.js';
import type { Miss } from './mount.js';
import { parseObjectPath } from './object-id.js';

/** Where on such a server an object is. */
export interface ExternalPart {
  /** As a URL has it, without a slash at its beginning. */
  readonly path: string;
  /** Undefined: all of it. */
  readonly range: ByteRange | undefined;
}

/** Undefined for what is an object of the repository. Throws `unimplemented`. */
export function externalPart(miss: Miss): ExternalPart | undefined {
  if (!miss.external) return undefined;
  const path = urlPath(miss.pathBytes);
  if (parseObjectPath(miss.object).kind !== 'P') return { path, range: undefined };
  if (!miss.compressed) return { path, range: { first: miss.offset, last: miss.offset + miss.size - 1 } };
  throw new ThinlayerError(
    'unimplemented',
    'it is an external file that is compressed and in chunks, and no catalog says where in it they are',
    { op: 'fetch' },
  );
}

function urlPath(path: ByteString): string {
  const encode = (byte: string) => `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`;
  return path.replace(/^\/+/, '').replaceAll(/[^\w.~/-]/g, encode);
}

/** The fetcher of external files. Few repositories have any: it is made when the first one is read. */
export class ExternalServers {
  readonly #options: FetchOptions;
  readonly #counters: FetchCounters;
  #fetcher: Fetcher | null = null;

  constructor(options: FetchOptions, counters: FetchCounters) {
    this.#options = options;
    this.#counters = counters;
  }

  /** Throws `failed_precondition` if none is configured. */
  get fetcher(): Fetcher {
    if (this.#options.hosts.length === 0) return noExternalServers();
    this.#fetcher ??= new Fetcher(this.#options, this.#counters);
    return this.#fetcher;
  }

  async close(): Promise<void> {
    await this.#fetcher?.close();
  }
}

export function noExternalServers(): never {
  throw new ThinlayerError(
    'failed_precondition',
    'its contents are on a server of external files, and none is configured; set CVMFS_EXTERNAL_URL to its URL',
    { op: 'fetch' },
  );
}
