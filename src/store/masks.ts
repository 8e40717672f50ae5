/** The masks of layers in CVMFS, kept in the home: `masks/KEY/above` and `below`, or an empty `masks/KEY` where none is needed. */

import { createHash } from 'node:crypto';
import { mkdir, readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';

import { fromErrno, isErrno } from '../core/errno.js';
import type { ThinLayer } from '../core/model.js';
import type { Mask, Masks } from '../core/ports.js';
import { pathsOf } from '../core/thin-descriptor.js';

export interface MasksOptions {
  readonly home: string;
  /** Fills the two directories from the layer in `tree`; false: it has no whiteouts. */
  readonly derive: (tree: string, mask: Mask) => Promise<boolean>;
  /** See OpenedStore. */
  readonly throwAway: (path: string, name: string) => Promise<void>;
  readonly syncfs: (path: string) => Promise<void>;
}

export function createMasks(options: MasksOptions): Masks {
  return new MaskDirectory(options);
}

/** By the place in the repository, and not by the digest: what a descriptor says of digests nobody has checked. */
function keyOf(repository: string, path: string): string {
  return createHash('sha256').update(`${repository}/${path}`).digest('hex').slice(0, 32);
}

class MaskDirectory implements Masks {
  readonly #options: MasksOptions;
  readonly #directory: string;
  /** One derivation however many ask; also those that ended well, which are not looked for on disk again. */
  readonly #masks = new Map<string, Promise<Mask | null>>();

  constructor(options: MasksOptions) {
    this.#options = options;
    this.#directory = join(options.home, 'masks');
  }

  of(repository: string, path: string, tree: string): Promise<Mask | null> {
    const key = keyOf(repository, path);
    const known = this.#masks.get(key);
    if (known) return known;
    const mask = this.#find(key, tree).catch((error: unknown) => {
      this.#masks.delete(key);
      throw fromErrno(error, { op: `derive the whiteouts of /${path} of ${repository}`, path: tree });
    });
    this.#masks.set(key, mask);
    return mask;
  }

  async keep(layers: readonly ThinLayer[]): Promise<void> {
    const keys = layers.flatMap((layer) => pathsOf(layer).map((path) => keyOf(layer.repository, path)));
    const wanted = new Set(keys.flatMap((key) => [key, ...(this.#masks.has(key) ? [`.${key}`] : [])]));
    for (const name of (await this.#list('.')) ?? []) {
      if (wanted.has(name)) continue;
      this.#masks.delete(name);
      await this.#options.throwAway(join(this.#directory, name), `mask${name}`);
    }
  }

  async #find(key: string, tree: string): Promise<Mask | null> {
    const names = await this.#list(key);
    if (names !== null) return names.length > 0 ? maskIn(join(this.#directory, key)) : null;
    return this.#derive(key, tree);
  }

  /** Whole, and on disk, before it has its name: half of one would let deleted files come back. */
  async #derive(key: string, tree: string): Promise<Mask | null> {
    const { derive, throwAway, syncfs } = this.#options;
    const [draft, place] = [join(this.#directory, `.${key}`), join(this.#directory, key)];
    await throwAway(draft, `mask.${key}`);
    const mask = maskIn(draft);
    for (const path of [mask.above, mask.below]) await mkdir(path, { recursive: true, mode: 0o755 });
    const needed = await derive(tree, mask);
    if (!needed) for (const path of [mask.above, mask.below]) await throwAway(path, `mask.${key}`);
    await syncfs(draft);
    await rename(draft, place);
    return needed ? maskIn(place) : null;
  }

  /** Null if there is no such directory. */
  async #list(name: string): Promise<string[] | null> {
    try {
      return await readdir(join(this.#directory, name));
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return null;
      throw error;
    }
  }
}

function maskIn(directory: string): Mask {
  return { above: join(directory, 'above'), below: join(directory, 'below') };
}
