/** The objects of a repository: files below `data`, named by the hash of what is in them. */

import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';

import { hashOf, hashText } from './hash.js';
import type { ContentHash, HashAlgorithm } from './hash.js';

/** '' whole file, C catalog, P chunk, X certificate, H history, M meta info. */
export type ObjectKind = '' | 'C' | 'P' | 'X' | 'H' | 'M';

export function storedBytes(content: Uint8Array, compressed: boolean): Uint8Array {
  return compressed ? deflateSync(content) : content;
}

export class ObjectStore {
  private readonly repository: string;
  private readonly folders = new Set<string>();

  constructor(repository: string) {
    this.repository = repository;
  }

  put(content: Uint8Array, kind: ObjectKind, algorithm: HashAlgorithm, compressed = true): ContentHash {
    const stored = storedBytes(content, compressed);
    const hash = hashOf(algorithm, stored);
    const path = this.path(hash, kind);
    if (!existsSync(path)) {
      this.makeFolder(join(path, '..'));
      writeFileSync(path, stored);
    }
    return hash;
  }

  path(hash: ContentHash, kind: ObjectKind): string {
    return this.pathOf(hashText(hash), kind);
  }

  pathOf(text: string, kind: ObjectKind): string {
    return join(this.repository, 'data', text.slice(0, 2), text.slice(2) + kind);
  }

  private makeFolder(folder: string): void {
    if (this.folders.has(folder)) return;
    mkdirSync(folder, { recursive: true });
    this.folders.add(folder);
  }
}
