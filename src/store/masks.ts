/** The masks of layers in CVMFS, kept in the home: `masks/PLACE/VERSION/above` and `below`. */

import { createHash } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

import { fromErrno, isErrno } from '../core/errno.js';
import type { ThinLayer } from '../core/model.js';
import type { Mask, Masks } from '../core/ports.js';
import { pathsOf } from '../core/thin-descriptor.js';
import { MaskPlace } from './mask-place.js';
import { MaskVersions } from './mask-versions.js';
import type { MaskWork } from './mask-versions.js';

export interface MasksOptions extends MaskWork {
  readonly home: string;
  /** Told why a mask stays that nobody needs. */
  readonly left: (error: unknown) => void;
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
  readonly #places = new Map<string, MaskPlace>();
  readonly #holders = new Map<string, Set<MaskPlace>>();
  /** Stand on layers of which nothing is known. */
  readonly #blind = new Set<string>();

  constructor(options: MasksOptions) {
    this.#options = options;
    this.#directory = join(options.home, 'masks');
  }

  async hold(holder: string, repository: string, path: string, tree: string): Promise<Mask | null> {
    try {
      return await this.#taken(holder, keyOf(repository, path)).hold(holder, tree);
    } catch (error) {
      throw fromErrno(error, { op: `derive the whiteouts of /${path} of ${repository}`, path: tree });
    }
  }

  adopt(holder: string, layers: readonly ThinLayer[] | null): void {
    if (layers === null) this.#blind.add(holder);
    else for (const key of keysOf(layers)) this.#taken(holder, key).adopt(holder);
  }

  async release(holder: string): Promise<void> {
    const places = [...(this.#holders.get(holder) ?? [])];
    this.#holders.delete(holder);
    this.#blind.delete(holder);
    await Promise.all(places.map((place) => place.release(holder)));
  }

  async keep(layers: readonly ThinLayer[]): Promise<void> {
    const wanted = new Set(keysOf(layers));
    for (const key of await this.#list()) {
      if (wanted.has(key)) continue;
      const place = this.#place(key);
      await place.clear();
      if (place.isFree) this.#places.delete(key);
    }
  }

  #taken(holder: string, key: string): MaskPlace {
    const place = this.#place(key);
    this.#holders.set(holder, (this.#holders.get(holder) ?? new Set<MaskPlace>()).add(place));
    return place;
  }

  #place(key: string): MaskPlace {
    const place = this.#places.get(key) ?? this.#newPlace(key);
    this.#places.set(key, place);
    return place;
  }

  #newPlace(key: string): MaskPlace {
    const { published, left } = this.#options;
    const versions = new MaskVersions(this.#options, join(this.#directory, key));
    return new MaskPlace({ versions, published, left, keepsAll: () => this.#blind.size > 0 });
  }

  async #list(): Promise<string[]> {
    try {
      return await readdir(this.#directory);
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return [];
      throw error;
    }
  }
}

function keysOf(layers: readonly ThinLayer[]): string[] {
  return layers.flatMap((layer) => pathsOf(layer).map((path) => keyOf(layer.repository, path)));
}
