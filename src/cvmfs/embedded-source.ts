/**
 * Repositories mounted by our own client, each by a process of its own (`thinlayer-cvmfs`) that survives the daemon:
 * containers read on, and the next daemon finds it by its control socket. One that has none yet, because it is mounting
 * still, is known by its lock, and waited for.
 */

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { ThinlayerError } from '../core/errors.js';
import type { IdMaps } from '../core/model.js';
import type { RepositoryFacts, RepositoryMount, RepositorySource, Starts } from '../core/repository.js';
import { startClient } from './client-process.js';
import type { ClientLock } from './client-process.js';
import { ClientStarts } from './client-starts.js';
import {
  askClient,
  describeClient,
  isAbsent,
  isUnanswered,
  lockOf,
  socketOf,
  watchClient,
} from './client-socket.js';
import { detached } from './detached.js';
import type { ClientStatus } from './embedded/client.js';
import { logPath } from './process-log.js';
import { Watches } from './watches.js';
import type { Lost } from './watches.js';

/** As long as anybody waits for a client that mounts. One that needs longer goes on, and whoever comes then finds it. */
const PATIENCE_MS = 300_000;
const LOOK_SOON_MS = 25;

export interface EmbeddedOptions {
  /** Mountpoints are made here, named after their repositories. */
  readonly directory: string;
  /** In place of /etc/cvmfs. */
  readonly configDirectory: string;
  /** Sockets and locks of the processes. Short: a socket's path has at most 107 bytes. */
  readonly runDirectory: string;
  /** The processes' logs. */
  readonly logDirectory: string;
  /** The user name space of containers: owners in layers are meant in it. */
  readonly idMaps: IdMaps;
  /** What starts a process: Node and the program. */
  readonly command: readonly [string, ...string[]];
  /** Detaches whatever is mounted there, a dead file system too, and removes the directory. */
  readonly unmount: (mountpoint: string) => Promise<void>;
  /** Whether something is mounted on the mountpoint of this repository. */
  readonly isMounted: (repository: string) => Promise<boolean>;
  /** Null: somebody has it. See src/host/lock.ts. */
  readonly lock: (path: string) => Promise<ClientLock | null>;
  /** For tests. */
  readonly patienceMs?: number;
  /** Called with why what images read at their starts is not remembered; absent: it is not to be. */
  readonly prefetchFailed?: (error: ThinlayerError) => void;
}

/** By its option `layers` (native/cvmfs/layers.cc). */
const SHOWN_WHITEOUTS = ['layers', '.layers'];

export function embeddedSource(options: EmbeddedOptions): RepositorySource {
  return new EmbeddedSource(options);
}

class EmbeddedSource implements RepositorySource {
  readonly name = 'embedded';
  readonly starts?: Starts;
  readonly #options: EmbeddedOptions;
  readonly #watches = new Watches();
  /** Ids, as they told them when they were found or started. */
  readonly #processes = new Map<string, number>();

  constructor(options: EmbeddedOptions) {
    this.#options = options;
    const failed = options.prefetchFailed;
    if (!failed) return;
    this.starts = new ClientStarts({
      socket: (repository) => this.#socket(repository),
      mountpoint: (repository) => this.#mountpoint(repository),
      failed,
    });
  }

  /** The process reads its configuration itself, and says what is wrong with it. */
  resolve(): Promise<void> {
    mkdirSync(this.#options.runDirectory, { recursive: true, mode: 0o700 });
    mkdirSync(this.#options.logDirectory, { recursive: true, mode: 0o755 });
    mkdirSync(this.#options.directory, { recursive: true, mode: 0o711 });
    return Promise.resolve();
  }

  async acquire(repository: string): Promise<RepositoryMount> {
    // Its number may be another process's by now, and who reads a report may kill it.
    this.#processes.delete(repository);
    const found = await this.#find(repository);
    const mount =
      'path' in found
        ? await this.#attached(repository, found)
        : { ...(await this.#start(repository, found)), anew: true };
    if (mount.pid !== undefined) this.#processes.set(repository, mount.pid);
    this.#watches.start(repository, watchClient(this.#socket(repository)), () =>
      gone(repository, this.#options.logDirectory),
    );
    return mount;
  }

  async refresh(repository: string): Promise<RepositoryMount> {
    return this.#attached(repository, mountOf(await askClient(this.#socket(repository), 'POST', '/refresh')));
  }

  async describe(repository: string): Promise<RepositoryFacts> {
    const pid = this.#processes.get(repository);
    const status = await describeClient(this.#socket(repository), repository, pid);
    const { revision, host, offline, cache, prefetch, failure } = status;
    return { revision, host, offline, cacheBytes: cache.bytes, prefetch, failure: failure ?? null };
  }

  async release(repository: string): Promise<void> {
    this.#watches.stop(repository);
    const lock = await this.#end(repository);
    try {
      await this.#options.unmount(this.#mountpoint(repository));
    } finally {
      await lock.release();
    }
  }

  watch(lost: Lost): () => void {
    return this.#watches.listen(lost);
  }

  /**
   * The mount of a process that serves this mountpoint, which may be a daemon's of before; or the lock, if there is none. Only who
   * has the lock may unmount there. One that still mounts, or that ends, is waited for.
   */
  async #find(repository: string): Promise<RepositoryMount | ClientLock> {
    const end = performance.now() + this.#patienceMs;
    for (let mounting = false; ;) {
      const running = await this.#running(repository, () => (mounting = true));
      // Nobody stands yet on what was still being mounted.
      if (running) return { ...running, anew: mounting };
      const lock = await this.#options.lock(this.#lock(repository));
      if (lock) return lock;
      if (performance.now() > end) throw this.#late(repository);
      await delay(LOOK_SOON_MS);
    }
  }

  /** `absent`: called if nobody listens. */
  async #running(repository: string, absent: () => void): Promise<RepositoryMount | null> {
    try {
      const mount = mountOf(await askClient(this.#socket(repository), 'GET', '/status'));
      return mount.path === this.#mountpoint(repository) ? mount : null;
    } catch (error) {
      if (!isUnanswered(error)) throw error;
      if (isAbsent(error)) absent();
      return null;
    }
  }

  /** Below a mountpoint that nothing is mounted on, no layer would be found, as if it had not been published. */
  async #attached(repository: string, mount: RepositoryMount): Promise<RepositoryMount> {
    if (await this.#options.isMounted(repository)) return mount;
    throw detached('thinlayer-cvmfs', repository, mount.path, mount.pid);
  }

  /** Ends the process, if there is one; then the lock is ours. */
  async #end(repository: string): Promise<ClientLock> {
    const found = await this.#find(repository);
    if (!('path' in found)) return found;
    const ended = watchClient(this.#socket(repository));
    await askClient(this.#socket(repository), 'POST', '/quit');
    await ended.closed;
    return this.#end(repository);
  }

  /** The process has the lock from then on, however this daemon ends. */
  async #start(repository: string, lock: ClientLock): Promise<RepositoryMount> {
    const mountpoint = this.#mountpoint(repository);
    try {
      // What a killed process left is a mount that answers nothing but ENOTCONN.
      await this.#options.unmount(mountpoint);
      mkdirSync(mountpoint, { mode: 0o755 });
      if (!(await this.#mounts(repository, mountpoint, lock))) throw this.#late(repository);
    } finally {
      await lock.release();
    }
    return mountOf(await askClient(this.#socket(repository), 'GET', '/status'));
  }

  /** As startClient. What a process that failed mounted is gone with it. */
  async #mounts(repository: string, mountpoint: string, lock: ClientLock): Promise<boolean> {
    const { command, configDirectory, logDirectory, idMaps, unmount } = this.#options;
    const places = { mountpoint, configDirectory, logDirectory, socket: this.#socket(repository) };
    try {
      return await startClient({ command, repository, ...places, idMaps, lock }, this.#patienceMs);
    } catch (error) {
      await unmount(mountpoint);
      throw error;
    }
  }

  #late(repository: string): ThinlayerError {
    const log = logPath(this.#options.logDirectory, repository);
    return new ThinlayerError(
      'unavailable',
      `the client of the repository ${repository} has not mounted it within ${this.#patienceMs / 1000} s; it goes on, and its log is ${log}. If it hangs, end it: \`pgrep -f ${this.#mountpoint(repository)}\` names it`,
      { op: 'mount' },
    );
  }

  get #patienceMs(): number {
    return this.#options.patienceMs ?? PATIENCE_MS;
  }

  #mountpoint(repository: string): string {
    return join(this.#options.directory, repository);
  }

  #socket(repository: string): string {
    return socketOf(this.#mountpoint(repository), this.#options.runDirectory);
  }

  #lock(repository: string): string {
    return lockOf(this.#mountpoint(repository), this.#options.runDirectory);
  }
}

function mountOf(status: unknown): RepositoryMount {
  const { mountpoint, revision, pid } = status as ClientStatus;
  return { path: mountpoint, revision, pid, anew: false, whiteouts: SHOWN_WHITEOUTS };
}

function gone(repository: string, logs: string): ThinlayerError {
  return new ThinlayerError(
    'unavailable',
    `the process that served the repository ${repository} ended; its log is ${logPath(logs, repository)}. It is started again; containers that run on it have to be restarted`,
    { op: 'mount' },
  );
}
