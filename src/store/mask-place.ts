/** One place in a repository: which masks of what was published there are in use. All but the newest go when nobody is. */

import { createHash, randomBytes } from 'node:crypto';

import { ThinlayerError } from '../core/errors.js';
import type { Mask } from '../core/ports.js';
import type { MaskVersions } from './mask-versions.js';

/** How often something else may be published while the names of a layer are read. */
const TRIES = 3;

export interface MaskPlaceOptions {
  readonly versions: MaskVersions;
  /** See MaskWork. */
  readonly published: (tree: string) => Promise<string | null>;
  /** Whether some mounts may stand on whatever there is. */
  readonly keepsAll: () => boolean;
  /** Told why something stays that nobody needs. */
  readonly left: (error: unknown) => void;
}

export class MaskPlace {
  readonly #options: MaskPlaceOptions;
  /** Versions by holder. */
  readonly #held = new Map<string, Set<string>>();
  readonly #adopted = new Set<string>();
  /** Asked for last. Null: none was yet. */
  #newest: string | null = null;
  #busy = 0;

  constructor(options: MaskPlaceOptions) {
    this.#options = options;
  }

  /** Nobody holds anything, nor is about to. */
  get isFree(): boolean {
    return this.#busy + this.#held.size + this.#adopted.size === 0;
  }

  async hold(holder: string, tree: string): Promise<Mask | null> {
    this.#busy += 1;
    try {
      for (let tries = 0; tries < TRIES; ++tries) {
        const mask = await this.#holdPublished(holder, tree);
        if (mask !== undefined) return mask;
      }
    } finally {
      this.#busy -= 1;
    }
    throw new ThinlayerError(
      'unavailable',
      `each time that ${tree} was read its content changed; try again`,
      {
        op: 'mount',
        path: tree,
      },
    );
  }

  /** Its holder was found on a mount of one of the versions, and nobody knows of which. */
  adopt(holder: string): void {
    this.#adopted.add(holder);
  }

  async release(holder: string): Promise<void> {
    const versions = [...(this.#held.get(holder) ?? [])];
    this.#held.delete(holder);
    const wasAdopted = this.#adopted.delete(holder);
    // Which is the newest, the next who asks will tell.
    if (this.#newest === null) return;
    if (wasAdopted || versions.some((version) => version !== this.#newest)) await this.#sweep();
  }

  /** No layer names this place any more. */
  async clear(): Promise<void> {
    if (!this.isFree) return;
    this.#newest = null;
    await this.#sweep();
    await this.#options.versions.removeDirectory().catch(this.#options.left);
  }

  /** Undefined: another content was published meanwhile. */
  async #holdPublished(holder: string, tree: string): Promise<Mask | null | undefined> {
    const published = await this.#options.published(tree);
    // One that nobody can tell is like no other.
    const version = published === null ? randomBytes(16).toString('hex') : nameOf(published);
    this.#held.set(holder, (this.#held.get(holder) ?? new Set<string>()).add(version));
    const mask = await this.#options.versions.get({ tree, version, published });
    if (mask === undefined || version === this.#newest) return mask;
    this.#newest = version;
    await this.#sweep();
    return mask;
  }

  async #sweep(): Promise<void> {
    if (this.#adopted.size > 0 || this.#options.keepsAll()) return;
    this.#busy += 1;
    try {
      await this.#options.versions.dropUnless((version) => this.#isNeeded(version));
    } catch (error) {
      this.#options.left(error);
    } finally {
      this.#busy -= 1;
    }
  }

  #isNeeded(version: string): boolean {
    if (version === this.#newest) return true;
    return [...this.#held.values()].some((versions) => versions.has(version));
  }
}

function nameOf(published: string): string {
  return createHash('sha256').update(published).digest('hex').slice(0, 32);
}
