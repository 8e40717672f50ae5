/** `<cache>/profiles/<name>`: one file for each image, named after its layers. A file may be copied to another machine. */

import { createHash, randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { lstat, open, readdir, rename, rm, writeFile } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';

import { fromErrno, isErrno } from '../../../core/errno.js';
import { ThinlayerError } from '../../../core/errors.js';
import { makeDirectories, transactionsPath } from '../cache/layout.js';
import { formatProfile, parseProfile } from './profile.js';
import type { ProfiledObject } from './profile.js';

/** More than any profile that is written has. */
const MAX_FILE_BYTES = 512 * 1024;
/** Of images that start on one machine; those not written for longest go first. */
const MAX_FILES = 512;

export class ProfileFiles {
  readonly #cache: string;
  readonly #directory: string;

  constructor(cache: string) {
    this.#cache = cache;
    this.#directory = join(cache, 'profiles');
  }

  /** Uppermost layer first, as paths in the repository. */
  nameOf(fqrn: string, layers: readonly string[]): string {
    return createHash('sha256')
      .update([fqrn, ...layers].join('\0'))
      .digest('hex');
  }

  pathOf(name: string): string {
    return join(this.#directory, name);
  }

  /** Null if there is none. Throws `data_loss`, which names the file, for one that is not a profile. */
  async read(name: string): Promise<ProfiledObject[] | null> {
    const path = this.pathOf(name);
    try {
      return parseProfile(await readBounded(path));
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return null;
      const cause = fromErrno(error, { op: 'read', path });
      const message = `the profile ${path} is of no use: ${cause.message}; it is ignored, and can be removed`;
      throw new ThinlayerError(cause.code, message, { op: 'read', path, cause });
    }
  }

  /** Written elsewhere, then renamed: a reader sees the file before or after, never a part. */
  async write(name: string, objects: readonly ProfiledObject[]): Promise<void> {
    const draft = join(transactionsPath(this.#cache), `profile.${randomBytes(8).toString('hex')}`);
    try {
      await makeDirectories(this.#directory);
      await writeFile(draft, formatProfile(objects), { flag: 'wx', mode: 0o600 });
      await rename(draft, this.pathOf(name));
      await this.#prune();
    } catch (error) {
      await rm(draft, { force: true });
      throw fromErrno(error, { op: 'write', path: this.pathOf(name) });
    }
  }

  async #prune(): Promise<void> {
    const names = await readdir(this.#directory);
    if (names.length <= MAX_FILES) return;
    const paths = names.map((name) => join(this.#directory, name));
    const aged = await Promise.all(
      paths.map(async (path) => ({ path, written: (await lstat(path)).mtimeMs })),
    );
    aged.sort((a, b) => a.written - b.written);
    for (const { path } of aged.slice(0, names.length - MAX_FILES)) await rm(path, { force: true });
  }
}

/** Of a plain file, and no more than a profile may have: nobody knows who put it there. */
async function readBounded(path: string): Promise<string> {
  const file: FileHandle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const stats = await file.stat();
    if (!stats.isFile() || stats.size > MAX_FILE_BYTES) {
      throw new ThinlayerError('data_loss', `not a file of at most ${MAX_FILE_BYTES} bytes`, { path });
    }
    return await file.readFile('latin1');
  } finally {
    await file.close();
  }
}
