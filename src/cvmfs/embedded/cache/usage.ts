/** What the cache holds, in memory: sizes, last uses, pins; and what has to go when it is too much. */

import type { StoredObject } from './layout.js';

export class Usage {
  #objects = new Map<string, StoredObject>();
  readonly #pins = new Map<string, number>();
  #bytes = 0;
  /** For each reading of the disk under way, what came since it began. */
  readonly #listings = new Set<Set<string>>();

  get bytes(): number {
    return this.#bytes;
  }

  get count(): number {
    return this.#objects.size;
  }

  get pinnedBytes(): number {
    return [...this.#pins.keys()].reduce((sum, object) => sum + (this.#objects.get(object)?.size ?? 0), 0);
  }

  list(): StoredObject[] {
    return [...this.#objects.values()];
  }

  has(object: string): boolean {
    return this.#objects.has(object);
  }

  /** Bytes that are neither pinned nor were used since that time. */
  idleBytes(since: number): number {
    const idle = this.list().filter(({ object, used }) => used < since && !this.#pins.has(object));
    return idle.reduce((sum, { size }) => sum + size, 0);
  }

  add(stored: StoredObject): void {
    this.remove(stored.object);
    this.#objects.set(stored.object, stored);
    this.#bytes += stored.size;
    for (const added of this.#listings) added.add(stored.object);
  }

  remove(object: string): void {
    this.#bytes -= this.#objects.get(object)?.size ?? 0;
    this.#objects.delete(object);
  }

  /** Answers the use before, or null if the object is not known. */
  touch(object: string, now: number): number | null {
    const stored = this.#objects.get(object);
    if (!stored) return null;
    this.#objects.set(object, { ...stored, used: Math.max(now, stored.used) });
    return stored.used;
  }

  pin(object: string): void {
    this.#pins.set(object, (this.#pins.get(object) ?? 0) + 1);
  }

  unpin(object: string): void {
    const pins = (this.#pins.get(object) ?? 0) - 1;
    if (pins > 0) this.#pins.set(object, pins);
    else this.#pins.delete(object);
  }

  /**
   * What `list` finds on the disk is the truth, but for uses that only memory knows, and for what is added while it reads: it
   * may have passed that place already.
   */
  async learn(list: () => Promise<StoredObject[]>): Promise<void> {
    const added = new Set<string>();
    this.#listings.add(added);
    try {
      const found = await list();
      const listed = new Set(found.map(({ object }) => object));
      const missed = [...added].filter((object) => !listed.has(object));
      this.#replace([...found, ...missed.flatMap((object) => this.#objects.get(object) ?? [])]);
    } finally {
      this.#listings.delete(added);
    }
  }

  #replace(found: readonly StoredObject[]): void {
    const known = this.#objects;
    const used = (stored: StoredObject) => Math.max(stored.used, known.get(stored.object)?.used ?? 0);
    this.#objects = new Map(found.map((stored) => [stored.object, { ...stored, used: used(stored) }]));
    this.#bytes = found.reduce((sum, { size }) => sum + size, 0);
  }

  /** Least recently used first, never a pinned one: what has to go to free so many bytes. */
  victims(bytes: number): string[] {
    const free = this.list().filter(({ object }) => !this.#pins.has(object));
    const victims: string[] = [];
    let freed = 0;
    for (const { object, size } of free.sort((a, b) => a.used - b.used)) {
      if (freed >= bytes) break;
      victims.push(object);
      freed += size;
    }
    return victims;
  }
}
