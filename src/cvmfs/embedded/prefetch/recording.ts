/** What one image reads while it starts. */

import { boundProfile, MAX_OBJECTS } from './profile.js';
import type { ProfiledObject } from './profile.js';

/** An object that was asked for, and the file or catalog in the repository that it was asked for. */
export interface Asked extends ProfiledObject {
  readonly path: string;
}

export class Recording {
  readonly #prefixes: readonly string[];
  /** Of starts before. */
  #known: readonly ProfiledObject[] = [];
  readonly #seen = new Map<string, ProfiledObject>();
  readonly #dropped = new Set<string>();

  /** Paths of its layers in the repository, without a leading slash: what lies elsewhere is read by somebody else. */
  constructor(layers: readonly string[]) {
    this.#prefixes = layers.map((layer) => `/${layer}`);
  }

  know(objects: readonly ProfiledObject[]): void {
    this.#known = objects;
  }

  see({ object, size, compressed, path }: Asked): void {
    const isOurs = this.#prefixes.some((prefix) => path === prefix || path.startsWith(`${prefix}/`));
    if (isOurs && this.#seen.size < MAX_OBJECTS) this.#seen.set(object, { object, size, compressed });
  }

  /** No server has it. */
  drop(object: string): void {
    this.#dropped.add(object);
  }

  /** The profile that this start makes of the one before; null if it is the same. */
  get changed(): ProfiledObject[] | null {
    const all = [...this.#known, ...this.#seen.values()];
    const objects = boundProfile(all.filter(({ object }) => !this.#dropped.has(object)));
    return objects.length === this.#known.length && this.#dropped.size === 0 ? null : objects;
  }
}
