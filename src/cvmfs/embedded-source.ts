/**
 * Repositories mounted by our own client, each by a process of its own (`thinlayer-cvmfs`) that survives the daemon:
 * containers read on, and the next daemon finds it by its control socket.
 */

import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { Readable } from 'node:stream';

import { ThinlayerError } from '../core/errors.js';
import type { ErrorCode } from '../core/errors.js';
import type { IdMaps } from '../core/model.js';
import type { RepositoryFacts, RepositoryMount, RepositorySource, Starts } from '../core/repository.js';
import { ClientStarts } from './client-starts.js';
import { askClient, socketOf, watchClient } from './client-socket.js';
import type { ClientStatus } from './embedded/client.js';
import { logPath, openLog } from './process-log.js';
import { Watches } from './watches.js';
import type { Lost } from './watches.js';

export interface EmbeddedOptions {
  /** Mountpoints are made here, named after their repositories. */
  readonly directory: string;
  /** In place of /etc/cvmfs. */
  readonly configDirectory: string;
  /** Sockets of the processes. Short: a socket's path has at most 107 bytes. */
  readonly runDirectory: string;
  /** The processes' logs. */
  readonly logDirectory: string;
  /** The user name space of containers: owners in layers are meant in it. */
  readonly idMaps: IdMaps;
  /** What starts a process: Node and the program. */
  readonly command: readonly [string, ...string[]];
  /** Detaches whatever is mounted there, a dead file system too, and removes the directory. */
  readonly unmount: (mountpoint: string) => Promise<void>;
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
    const running = await this.#running(repository);
    const mount = running ?? { ...(await this.#start(repository)), anew: true };
    this.#watches.start(repository, watchClient(this.#socket(repository)), () =>
      gone(repository, this.#options.logDirectory),
    );
    return mount;
  }

  async refresh(repository: string): Promise<RepositoryMount> {
    return mountOf(await askClient(this.#socket(repository), 'POST', '/refresh'));
  }

  async describe(repository: string): Promise<RepositoryFacts> {
    const status = await askClient(this.#socket(repository), 'GET', '/status');
    const { revision, host, offline, cache, prefetch, failure } = status as ClientStatus;
    return { revision, host, offline, cacheBytes: cache.bytes, prefetch, failure: failure ?? null };
  }

  async release(repository: string): Promise<void> {
    this.#watches.stop(repository);
    if (await this.#running(repository)) {
      const ended = watchClient(this.#socket(repository));
      await askClient(this.#socket(repository), 'POST', '/quit');
      await ended.closed;
    }
    await this.#options.unmount(this.#mountpoint(repository));
  }

  watch(lost: Lost): () => void {
    return this.#watches.listen(lost);
  }

  /** The mount of a process that serves this mountpoint: it may be a daemon's of before. */
  async #running(repository: string): Promise<RepositoryMount | null> {
    try {
      const mount = mountOf(await askClient(this.#socket(repository), 'GET', '/status'));
      return mount.path === this.#mountpoint(repository) ? mount : null;
    } catch (error) {
      if (error instanceof ThinlayerError && error.code === 'unavailable') return null;
      throw error;
    }
  }

  async #start(repository: string): Promise<RepositoryMount> {
    const mountpoint = this.#mountpoint(repository);
    // What a killed process left is a mount that answers nothing but ENOTCONN.
    await this.#options.unmount(mountpoint);
    mkdirSync(mountpoint, { mode: 0o755 });
    try {
      await outcome(this.#spawn(repository, mountpoint), repository);
    } catch (error) {
      await this.#options.unmount(mountpoint);
      throw error;
    }
    return mountOf(await askClient(this.#socket(repository), 'GET', '/status'));
  }

  #spawn(repository: string, mountpoint: string): ChildProcess {
    const [program, ...before] = this.#options.command;
    const log = openLog(this.#options.logDirectory, repository);
    try {
      const child = spawn(
        program,
        [
          ...before,
          ...[
            repository,
            mountpoint,
            '-o',
            'layers,cvmfs_suid',
            '--config-dir',
            this.#options.configDirectory,
          ],
          ...namespaceArguments(this.#options.idMaps),
          ...['--control', this.#socket(repository), '--report-fd', '3'],
        ],
        { detached: true, stdio: ['ignore', log.fd, log.fd, 'pipe'], cwd: '/' },
      );
      child.unref();
      return child;
    } finally {
      log.close();
    }
  }

  #mountpoint(repository: string): string {
    return join(this.#options.directory, repository);
  }

  #socket(repository: string): string {
    return socketOf(this.#mountpoint(repository), this.#options.runDirectory);
  }
}

function namespaceArguments({ uids, gids }: IdMaps): string[] {
  const text = (maps: IdMaps['uids']) =>
    maps.map(({ containerId, hostId, size }) => `${containerId}:${hostId}:${size}`).join(',');
  return ['--map-uids', text(uids), '--map-gids', text(gids)];
}

/** Resolves when the process says that it has mounted; rejects with what it says else. */
async function outcome(child: ChildProcess, repository: string): Promise<void> {
  const failed = new Promise<never>((_, reject) => child.once('error', reject));
  const report = await Promise.race([text(child.stdio[3] as Readable), failed]);
  const line =
    report === '' ? null : (JSON.parse(report) as { mounted?: true; code?: ErrorCode; message?: string });
  if (line?.mounted) return;
  const reason =
    line?.message ??
    `its client ended before it had mounted anything (${child.exitCode ?? child.signalCode})`;
  throw new ThinlayerError(
    line?.code ?? 'unavailable',
    `the repository ${repository} cannot be mounted: ${reason}`,
    {
      op: 'mount',
    },
  );
}

function mountOf(status: unknown): RepositoryMount {
  const { mountpoint, revision } = status as { mountpoint: string; revision: number };
  return { path: mountpoint, revision, anew: false, whiteouts: SHOWN_WHITEOUTS };
}

function gone(repository: string, logs: string): ThinlayerError {
  return new ThinlayerError(
    'unavailable',
    `the process that served the repository ${repository} ended; its log is ${logPath(logs, repository)}. It is started again; containers that run on it have to be restarted`,
    { op: 'mount' },
  );
}
