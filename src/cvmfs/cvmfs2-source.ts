/**
 * Repositories mounted by CERN's client: one `cvmfs2` in the background for each, which survives the daemon. The next daemon
 * finds it by its talk socket.
 */

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { ThinlayerError } from '../core/errors.js';
import type { IdMaps } from '../core/model.js';
import type { RepositoryMount, RepositorySource } from '../core/repository.js';
import {
  configFiles,
  mountInBackground,
  notConfigured,
  readSettings,
  userOf,
  userOptions,
} from './cvmfs2-command.js';
import type { Cvmfs2Run } from './cvmfs2-command.js';
import { makeDirectories } from './cvmfs2-directories.js';
import { isOn, ownerMap, talkSocketOf } from './cvmfs2-settings.js';
import type { Cvmfs2Settings } from './cvmfs2-settings.js';
import { detached } from './detached.js';
import { mountName } from './mount-name.js';
import { logPath, openLog } from './process-log.js';
import { endsWithin, watchProcess } from './process-end.js';
import { talk } from './talk-socket.js';
import { Watches } from './watches.js';
import type { Lost } from './watches.js';

export interface Cvmfs2Options {
  /** The binary; null: there is none in PATH. */
  readonly program: string | null;
  /** Mountpoints are made here, named after their repositories. */
  readonly directory: string;
  /** In place of /etc/cvmfs. */
  readonly configDirectory: string;
  /** The processes' logs. */
  readonly logDirectory: string;
  /** What we add to their configuration. They read it as CVMFS_USER, who cannot reach into a home. */
  readonly runDirectory: string;
  /** The user name space of containers: owners in layers are meant in it. */
  readonly idMaps: IdMaps;
  /** Detaches whatever is mounted there, a dead file system too, and removes the directory. */
  readonly unmount: (mountpoint: string) => Promise<void>;
  /** Whether something is mounted on the mountpoint of this repository. */
  readonly isMounted: (repository: string) => Promise<boolean>;
}

/** As the packaged mount helper has them; setuid programs of images have to work. */
const MOUNT_OPTIONS = ['fsname=cvmfs2', 'allow_other', 'grab_mountpoint', 'cvmfs_suid'];

/** After the unmount it writes back what it knows of its cache. */
const END_MS = 10_000;

export function cvmfs2Source(options: Cvmfs2Options): RepositorySource {
  return new Cvmfs2Source(options);
}

type ServedMount = RepositoryMount & { readonly pid: number };

class Cvmfs2Source implements RepositorySource {
  readonly name = 'cvmfs2';
  readonly #options: Cvmfs2Options;
  readonly #watches = new Watches();
  /** Where each repository's process listens. */
  readonly #sockets = new Map<string, string>();

  constructor(options: Cvmfs2Options) {
    this.#options = options;
  }

  async resolve(repository: string): Promise<void> {
    const { directory, logDirectory, runDirectory } = this.#options;
    this.#program();
    mkdirSync(runDirectory, { recursive: true, mode: 0o755 });
    mkdirSync(logDirectory, { recursive: true, mode: 0o755 });
    mkdirSync(directory, { recursive: true, mode: 0o711 });
    const settings = await readSettings(this.#run(repository, []));
    this.#sockets.set(repository, talkSocketOf(settings, repository));
    if (!settings.has('CVMFS_SERVER_URL')) throw notConfigured(repository, this.#options.configDirectory);
  }

  async acquire(repository: string): Promise<RepositoryMount> {
    const running = await this.#running(repository);
    const mount = running ?? { ...(await this.#start(repository)), anew: true };
    this.#watches.start(repository, watchProcess(mount.pid), () =>
      gone(repository, this.#options.logDirectory),
    );
    return mount;
  }

  async refresh(repository: string): Promise<RepositoryMount> {
    const answer = await this.#talk(repository, 'remount sync');
    if (/^(Catalog up to date|New revision applied|In maintenance mode)/.test(answer))
      return this.#mount(repository);
    throw new ThinlayerError(
      'unavailable',
      `cvmfs2 cannot look for a newer revision of ${repository}: it says ${JSON.stringify(answer)}; is a server reachable (cvmfs_talk -i ${repository} host info)? what it shows stays as it is`,
      { op: 'refresh' },
    );
  }

  async release(repository: string): Promise<void> {
    this.#watches.stop(repository);
    const pid = (await this.#servesUs(repository)) ? await unlessEnded(this.#pid(repository)) : null;
    await this.#options.unmount(this.#mountpoint(repository));
    if (pid === null || (await endsWithin(pid, END_MS))) return;
    throw new ThinlayerError(
      'unavailable',
      `${repository} is unmounted, but its cvmfs2 (process ${pid}) has not ended within ${END_MS / 1000} s: somebody still reads from it (another mount name space?)`,
      { op: 'unmount' },
    );
  }

  watch(lost: Lost): () => void {
    return this.#watches.listen(lost);
  }

  /** The mount of a process that serves our mountpoint: it may be a daemon's of before. One that ends while it is asked is none. */
  async #running(repository: string): Promise<ServedMount | null> {
    if (!(await this.#servesUs(repository))) return null;
    if (await this.#options.isMounted(repository)) return unlessEnded(this.#mount(repository));
    const pid = await unlessEnded(this.#pid(repository));
    if (pid === null) return null;
    throw detached('cvmfs2', repository, this.#mountpoint(repository), pid);
  }

  async #servesUs(repository: string): Promise<boolean> {
    const mountpoint = await unlessEnded(this.#talk(repository, 'mountpoint'));
    if (mountpoint === null) return false;
    if (mountpoint === this.#mountpoint(repository)) return true;
    throw new ThinlayerError(
      'failed_precondition',
      `cvmfs2 serves the repository ${repository} on ${mountpoint} already, with the same cache: let thinlayer use that mount (--storage-opt cvmfs.mount.${repository}=external), or unmount it`,
      { op: 'mount', path: mountpoint },
    );
  }

  async #start(repository: string): Promise<ServedMount> {
    const mountpoint = this.#mountpoint(repository);
    // What a killed process left is a mount that answers nothing but ENOTCONN.
    await this.#options.unmount(mountpoint);
    mkdirSync(mountpoint, { mode: 0o755 });
    const log = openLog(this.#options.logDirectory, repository);
    try {
      const settings = await readSettings(this.#run(repository, []));
      const user = await userOf(settings);
      makeDirectories(settings, repository, user);
      const run = this.#run(repository, this.#ownerFiles(repository, settings));
      await mountInBackground(run, [...MOUNT_OPTIONS, ...userOptions(user)], log);
      const mount = await this.#running(repository);
      if (mount) return mount;
      throw silent(repository, log.path);
    } catch (error) {
      await this.#options.unmount(mountpoint);
      throw error;
    } finally {
      log.close();
    }
  }

  /**
   * What it shows has to be owned by the users of containers. With CVMFS_CLAIM_OWNERSHIP it would be the user that it runs as:
   * maps of all ids, in files of ours that it reads last, take the place of that.
   */
  #ownerFiles(repository: string, settings: Cvmfs2Settings): string[] {
    const claims = isOn(settings, 'CVMFS_CLAIM_OWNERSHIP');
    const { runDirectory, idMaps } = this.#options;
    if (!claims && idMaps.uids.length === 0 && idMaps.gids.length === 0) return [];
    const name = mountName(this.#mountpoint(repository));
    const path = (kind: string) => join(runDirectory, `${name}.${kind}`);
    const lines = [
      'CVMFS_CLAIM_OWNERSHIP=no',
      `CVMFS_UID_MAP=${path('uids')}`,
      `CVMFS_GID_MAP=${path('gids')}`,
    ];
    writeFileSync(path('uids'), ownerMap(idMaps.uids, claims));
    writeFileSync(path('gids'), ownerMap(idMaps.gids, claims));
    writeFileSync(path('conf'), `${lines.join('\n')}\n`);
    return [path('conf')];
  }

  async #mount(repository: string): Promise<ServedMount> {
    const answer = await this.#talk(repository, 'revision');
    const revision = /^\d+$/.test(answer) ? Number(answer) : null;
    const pid = await this.#pid(repository);
    return { path: this.#mountpoint(repository), revision, pid, anew: false, whiteouts: [] };
  }

  async #pid(repository: string): Promise<number> {
    const answer = await this.#talk(repository, 'pid');
    if (/^[1-9]\d{0,9}$/.test(answer)) return Number(answer);
    throw new ThinlayerError(
      'unavailable',
      `cvmfs2 does not tell its process id, but ${JSON.stringify(answer)}`,
      {
        op: 'mount',
      },
    );
  }

  #talk(repository: string, command: string): Promise<string> {
    const socket = this.#sockets.get(repository);
    if (socket === undefined) throw new Error(`${repository} was not resolved`);
    return talk(socket, command);
  }

  #run(repository: string, last: readonly string[]): Cvmfs2Run {
    return {
      program: this.#program(),
      repository,
      mountpoint: this.#mountpoint(repository),
      configFiles: configFiles(this.#options.configDirectory, repository, last),
    };
  }

  #program(): string {
    if (this.#options.program !== null) return this.#options.program;
    throw new ThinlayerError(
      'failed_precondition',
      "cvmfs2 is not in PATH: install CERN's package cvmfs, or let thinlayer mount repositories itself (--storage-opt cvmfs.mount=embedded)",
      { op: 'mount' },
    );
  }

  #mountpoint(repository: string): string {
    return join(this.#options.directory, repository);
  }
}

/** Null: nobody listens, or the process ended before it answered. */
async function unlessEnded<T>(asked: Promise<T>): Promise<T | null> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof ThinlayerError && error.code === 'not_found') return null;
    throw error;
  }
}

/** It ends with success too where it finds another process at work on its cache. */
function silent(repository: string, log: string): ThinlayerError {
  return new ThinlayerError(
    'unavailable',
    `cvmfs2 said that it mounted ${repository}, and does not answer on its talk socket; see ${log} and the system's log`,
    { op: 'mount' },
  );
}

function gone(repository: string, logs: string): ThinlayerError {
  return new ThinlayerError(
    'unavailable',
    `the cvmfs2 that served the repository ${repository} ended; see the system's log and ${logPath(logs, repository)}. It is started again; containers that run on it have to be restarted`,
    { op: 'mount' },
  );
}
