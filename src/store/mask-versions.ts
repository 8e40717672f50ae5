/**
 * The masks of one place in a repository, on disk: for each content that was published there `VERSION/above` and `below`, or
 * an empty `VERSION` where none is needed. Which are needed is for others to know: see mask-place.ts.
 */

import { mkdir, readdir, rename, rmdir } from 'node:fs/promises';
import { join } from 'node:path';

import { isErrno } from '../core/errno.js';
import type { Mask } from '../core/ports.js';
import { Turns } from './turns.js';

export interface MaskWork {
  /** What is published in `tree`, as a text that is another one for another content; null: nobody can tell. */
  readonly published: (tree: string) => Promise<string | null>;
  /** Fills the two directories from the layer in `tree`; false: it has no whiteouts. */
  readonly derive: (tree: string, mask: Mask) => Promise<boolean>;
  /** See OpenedStore. */
  readonly throwAway: (path: string, name: string) => Promise<void>;
  readonly syncfs: (path: string) => Promise<void>;
}

/** What a mask is derived from. `version` is its name, `published` as MaskWork tells. */
export interface Layer {
  readonly tree: string;
  readonly version: string;
  readonly published: string | null;
}

export class MaskVersions {
  readonly #work: MaskWork;
  readonly #directory: string;
  /** By version: none is thrown away while it is looked for. */
  readonly #turns = new Turns();
  /** One derivation however many ask; also those that ended well, which are not looked for on disk again. */
  readonly #masks = new Map<string, Promise<Mask | null | undefined>>();

  constructor(work: MaskWork, directory: string) {
    this.#work = work;
    this.#directory = directory;
  }

  /** Null: it has no whiteouts. Undefined: what is published is another content by now. */
  get(layer: Layer): Promise<Mask | null | undefined> {
    const { version } = layer;
    const known = this.#masks.get(version);
    if (known) return known;
    const forget = () => void (this.#masks.get(version) === mask && this.#masks.delete(version));
    const mask = this.#turns.take(version, () => this.#find(layer));
    mask.then((found) => found === undefined && forget(), forget);
    this.#masks.set(version, mask);
    return mask;
  }

  /** Also what a kill left half derived. */
  async dropUnless(isNeeded: (version: string) => boolean): Promise<void> {
    for (const name of (await this.#list('.')) ?? []) {
      const version = name.replace(/^\./, '');
      if (!isNeeded(version)) await this.#turns.take(version, () => this.#drop(name, version));
    }
  }

  /** If it holds nothing. */
  async removeDirectory(): Promise<void> {
    try {
      await rmdir(this.#directory);
    } catch (error) {
      if (!isErrno(error, 'ENOENT', 'ENOTEMPTY')) throw error;
    }
  }

  async #drop(name: string, version: string): Promise<void> {
    this.#masks.delete(version);
    await this.#work.throwAway(join(this.#directory, name), `mask.${version}`);
  }

  async #find(layer: Layer): Promise<Mask | null | undefined> {
    const names = await this.#list(layer.version);
    if (names !== null) return names.length > 0 ? maskIn(join(this.#directory, layer.version)) : null;
    return this.#derive(layer);
  }

  /** Whole, and on disk, before it has its name: half of one would let deleted files come back. */
  async #derive({ tree, version, published }: Layer): Promise<Mask | null | undefined> {
    const { throwAway, syncfs } = this.#work;
    const [draft, place] = [join(this.#directory, `.${version}`), join(this.#directory, version)];
    await throwAway(draft, `mask.${version}`);
    const needed = await this.#fill(tree, maskIn(draft), version);
    if ((await this.#work.published(tree)) !== published)
      return void (await this.#drop(`.${version}`, version));
    await syncfs(draft);
    await rename(draft, place);
    return needed ? maskIn(place) : null;
  }

  async #fill(tree: string, mask: Mask, version: string): Promise<boolean> {
    const { derive, throwAway } = this.#work;
    const paths = [mask.above, mask.below];
    for (const path of paths) await mkdir(path, { recursive: true, mode: 0o755 });
    const needed = await derive(tree, mask);
    if (!needed) for (const path of paths) await throwAway(path, `mask.${version}`);
    return needed;
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
