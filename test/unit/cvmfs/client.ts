/** A client of a test's own: cache in a temporary directory, short time-outs, a clock that does not wait. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

import { ThinlayerError } from '../../../src/core/errors.js';
import { EMPTY_BLACKLIST } from '../../../src/cvmfs/embedded/blacklist.js';
import { Cache } from '../../../src/cvmfs/embedded/cache/cache.js';
import { FETCH_DEFAULTS, Fetcher } from '../../../src/cvmfs/embedded/fetch/fetcher.js';
import type { FetchOptions } from '../../../src/cvmfs/embedded/fetch/fetcher.js';
import { Objects } from '../../../src/cvmfs/embedded/objects.js';
import type {
  RepositoryEvent,
  RepositoryFacts,
  RepositoryOptions,
} from '../../../src/cvmfs/embedded/repository.js';
import { masterKey } from '../../pure/cvmfs/fixtures.js';
import { RepositoryServer } from './server.js';

export const TIMEOUT_MS = 300;

/** Sleeps end at once; what was slept is counted. */
export class TestClock {
  /** Later than the clock of any machine, from which the disk has its times; earlier than the end of all whitelists. */
  time = Date.UTC(2090, 0, 1);
  readonly slept: number[] = [];
  now = (): number => this.time;
  ticks = (): number => this.time;
  sleep = (milliseconds: number): Promise<void> => {
    this.slept.push(milliseconds);
    this.time += milliseconds;
    return Promise.resolve();
  };
}

export function temporaryDirectory(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'thinlayer-test-'));
  t.after(() => rmSync(directory, { recursive: true }));
  return directory;
}

export async function serverOf(t: TestContext, ...layers: string[]): Promise<RepositoryServer> {
  const server = await RepositoryServer.start(...layers);
  t.after(() => server.stop());
  return server;
}

export function fetcherOf(t: TestContext, clock: TestClock, options: Partial<FetchOptions>): Fetcher {
  const fetcher = new Fetcher({
    ...FETCH_DEFAULTS,
    hosts: [],
    proxies: [[null]],
    timeoutMs: TIMEOUT_MS,
    timeoutDirectMs: TIMEOUT_MS,
    clock,
    ...options,
  });
  t.after(() => fetcher.close());
  return fetcher;
}

export const NO_CATALOG = new ThinlayerError('data_loss', 'the root catalog is none');

export interface Client extends RepositoryOptions {
  readonly clock: TestClock;
  readonly events: RepositoryEvent[];
  readonly shown: RepositoryFacts[];
  /** A revision that cannot be shown; null: all can. */
  unreadable: number | null;
}

/** Of `NAME.example.org`. */
export async function clientOf(
  t: TestContext,
  name: string,
  hosts: readonly string[],
  { directory = temporaryDirectory(t), limit = Infinity, ...fetching }: ClientOptions = {},
): Promise<Client> {
  const clock = new TestClock();
  const fetcher = fetcherOf(t, clock, { hosts, ...fetching });
  const cache = await Cache.open({ directory, limit, clock });
  const events: RepositoryEvent[] = [];
  const shown: RepositoryFacts[] = [];
  const client: Client = {
    fqrn: `${name}.example.org`,
    keys: [masterKey('snap.example.org'), masterKey(`${name}.example.org`)],
    blacklist: () => EMPTY_BLACKLIST,
    objects: new Objects(cache, fetcher),
    onEvent: (event) => events.push(event),
    fetcher,
    clock,
    events,
    shown,
    unreadable: null,
    show: (next) => {
      if (next.revision === client.unreadable) return Promise.reject(NO_CATALOG);
      shown.push(next);
      return Promise.resolve();
    },
  };
  return client;
}

type ClientOptions = Partial<FetchOptions> & { readonly directory?: string; readonly limit?: number };
