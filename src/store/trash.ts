/**
 * What is to be deleted: renamed into `.trash` at once, deleted in the background, one tree after the other. Nobody waits
 * for the end of that: what is left when the home is closed, the next opening deletes.
 */

import { randomBytes } from 'node:crypto';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';

import { begun } from '../core/disk.js';
import type { Disk, DiskChange } from '../core/disk.js';
import { fromErrno, isErrno, isFull } from '../core/errno.js';
import { exists } from './exists.js';
import type { StoreLog } from './log.js';

/**
 * What lies there can only be deleted in its place: the disk is so full that nothing can be renamed; or it has a project quota of its
 * own, and the home another that the trash took over (xfs and ext4 then answer EXDEV), or the trash is a mount.
 */
export function cannotMove(error: unknown): boolean {
  return isFull(error) || isErrno(error, 'EXDEV');
}

type Expectation = Extract<DiskChange, { do: 'expect unmounted' }>;
type Unlink = Extract<DiskChange, { do: 'unlink' }>;

export class Trash {
  readonly #disk: Disk;
  readonly #directory: string;
  readonly #log: StoreLog;
  readonly #waiting: string[] = [];
  readonly #stopping = new AbortController();
  /** What an earlier opening left may still be there, under names that this one must not use. */
  readonly #opening = randomBytes(6).toString('hex');
  #taken = 0;
  #running: Promise<void> = Promise.resolve();
  #busy = false;

  constructor(disk: Disk, directory: string, log: StoreLog) {
    this.#disk = disk;
    this.#directory = directory;
    this.#log = log;
  }

  /**
   * Moves `path` into the trash; that there is none is a success. `first` is what has to be true. `links` lead to it: they
   * go with it, or at the next start.
   */
  async throwAway(
    path: string,
    name: string,
    first: readonly Expectation[] = [],
    links: readonly string[] = [],
  ): Promise<void> {
    const unlinked = links.map((link) => ({ do: 'unlink', path: link }) as const);
    try {
      this.#drop(await this.#move(path, name, first, unlinked));
    } catch (error) {
      if (!isErrno(error, 'ENOENT')) throw error;
      await this.#change([], unlinked);
    }
  }

  async #move(
    path: string,
    name: string,
    first: readonly Expectation[],
    last: readonly Unlink[],
  ): Promise<string> {
    const taken = this.#place(name);
    const changes = [...first, { do: 'rename', from: path, to: taken }] as const;
    try {
      await this.#change(changes, last);
    } catch (error) {
      if (!(await this.#madeRoom(error, path))) throw error;
      await this.#change(changes, last);
    }
    return taken;
  }

  /** Whether `path` may be moved after `error` now. */
  async #madeRoom(error: unknown, path: string): Promise<boolean> {
    if (isFull(error)) {
      // The trash directory itself could not grow. Removing is what helps a full disk: its entries free their places.
      await this.#running;
      return true;
    }
    // If there is something, it is the trash that is missing: somebody deleted it, to make room perhaps.
    if (!isErrno(error, 'ENOENT') || !(await exists(path))) return false;
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    return true;
  }

  /** In one job. A failure among `last` is only told. */
  async #change(changes: readonly DiskChange[], last: readonly Unlink[]): Promise<void> {
    const all = [...changes, ...last];
    try {
      await this.#disk.change(all);
    } catch (error) {
      if (begun(error, all) < changes.length) throw error;
      const failure = fromErrno(error, { op: 'delete' });
      this.#log.warn({ err: failure }, `${failure.message}; the next start deletes it`);
    }
  }

  /** Deletes it in the background. */
  #drop(taken: string): void {
    this.#waiting.push(taken);
    if (this.#busy || this.#stopping.signal.aborted) return;
    this.#busy = true;
    this.#running = this.#work();
  }

  /**
   * `throwAway`. Where that cannot be, deletes `path` where it is, which a kill may leave half done: to rename
   * takes room on btrfs, say, which keeps some for deletions.
   */
  async discard(path: string, name: string): Promise<void> {
    try {
      await this.throwAway(path, name);
    } catch (error) {
      if (!cannotMove(error)) throw error;
      await this.deleteInPlace(path);
    }
  }

  /** Deletes it at once. */
  deleteInPlace(path: string): Promise<void> {
    return this.#disk.removeTree(path);
  }

  /** Starts to delete what an earlier opening left. */
  async empty(): Promise<void> {
    for (const name of await readdir(this.#directory)) this.#drop(join(this.#directory, name));
  }

  /** Ends the deletion under way, in the middle of its tree; when this resolves nothing is deleted any more. */
  async stop(): Promise<void> {
    if (this.#busy) this.#log.info({}, 'removed layers are left in the trash; the next opening deletes them');
    this.#stopping.abort();
    await this.#running;
  }

  async #work(): Promise<void> {
    const { signal } = this.#stopping;
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      await this.#delete(next, signal);
      if (signal.aborted) break;
    }
    this.#busy = false;
  }

  async #delete(path: string, signal: AbortSignal): Promise<void> {
    try {
      await this.#disk.removeTree(path, { signal });
    } catch (error) {
      if (signal.aborted && isErrno(error, 'ECANCELED')) return;
      const failure = fromErrno(error, { op: 'delete', path });
      this.#log.error({ err: failure, path }, `${failure.message}; it stays there until the next start`);
    }
  }

  /** Named by nobody before. */
  #place(name: string): string {
    this.#taken += 1;
    return join(this.#directory, `${name}.${this.#opening}.${this.#taken}`);
  }
}
