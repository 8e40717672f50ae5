/** What the daemon has to answer to bad input: an error with a status and a text, and nothing has changed. */

import assert from 'node:assert/strict';
import { lstat, mkdir, readdir, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';

import { listTree } from '../system/tree-listing.js';
import { CallError } from './client.js';
import type { Daemon } from './daemon.js';

/** Rejects unless `call` ends in an answer of this status whose text is as wanted. */
export async function refused(
  call: Promise<unknown>,
  status: number,
  text: RegExp,
  what = '',
): Promise<CallError> {
  try {
    await call;
  } catch (error) {
    if (!(error instanceof CallError)) throw error;
    assert.match(error.message, text, what);
    assert.equal(error.status, status, `${what}: ${error.message}`);
    return error;
  }
  throw assert.fail(`${what}: not refused`);
}

/** A canary beside the home, which archives try to reach, and all names in the daemon's directory. */
export class Surroundings {
  readonly canary: string;
  private readonly daemon: Daemon;
  private before: unknown;
  private seen: unknown;

  private constructor(daemon: Daemon) {
    this.daemon = daemon;
    this.canary = daemon.path('canary');
  }

  static async of(daemon: Daemon): Promise<Surroundings> {
    const surroundings = new Surroundings(daemon);
    await mkdir(join(surroundings.canary, 'directory'), { recursive: true });
    await writeFile(join(surroundings.canary, 'directory/file'), 'canary');
    surroundings.before = await surroundings.look();
    surroundings.seen = await surroundings.glance();
    return surroundings;
  }

  /** To be called when all layers made since are removed. */
  async assertUntouched(): Promise<void> {
    await this.daemon.trashEmptied();
    assert.deepEqual(await this.look(), this.before);
    assert.deepEqual(await this.daemon.mounts(), []);
    assert.ok(this.daemon.running);
  }

  /** Cheap enough for each of thousands of archives. */
  async assertCanary(what: string): Promise<void> {
    assert.deepEqual(await this.glance(), this.seen, what);
  }

  private async glance(): Promise<unknown> {
    const paths = ['', 'directory', 'directory/file'].map((name) => join(this.canary, name));
    const stats = await Promise.all(paths.map((path) => lstat(path)));
    return stats.map(({ mode, uid, nlink, size, mtimeMs, ctimeMs }) => [
      mode,
      uid,
      nlink,
      size,
      mtimeMs,
      ctimeMs,
    ]);
  }

  private async look(): Promise<unknown> {
    return [await listTree(this.canary), await namesBelow(this.daemon.path())];
  }
}

/** Relative to `directory`, sorted. With types, since without them Node's readdir goes through symlinks. */
export async function namesBelow(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries.map((entry) => relative(directory, join(entry.parentPath, entry.name))).sort();
}

/** All that a layer is on disk. */
export function layerOnDisk(daemon: Daemon, id: string): Promise<string[]> {
  return listTree(join(daemon.home, id));
}
