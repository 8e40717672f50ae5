/** Puts the content of files into the objects of a repository: whole, or in chunks. */

import { hashOf } from './hash.js';
import type { HashAlgorithm } from './hash.js';
import { storedBytes } from './objects.js';
import type { ObjectStore } from './objects.js';
import type { SourceEntry } from './source-tree.js';

export interface StorageOptions {
  readonly algorithm: HashAlgorithm;
  readonly compressed: boolean;
  /** Files larger than this are stored in chunks of this size; null: whole, as `cvmfs_server ingest` does. */
  readonly chunkBytes: number | null;
  /** Chunked files are also stored whole, as for clients of old. */
  readonly legacyBulkChunks: boolean;
}

export interface StoredFile {
  readonly algorithm: HashAlgorithm;
  readonly compressed: boolean;
  /** Of the whole; null for a file that is there in chunks only. */
  readonly hash: Buffer | null;
  readonly chunks: readonly { readonly offset: number; readonly size: number; readonly hash: Buffer }[];
}

export class FileObjects {
  private readonly objects: ObjectStore;
  /** Content that is published again costs nothing. */
  private readonly stored = new WeakMap<Buffer, Map<string, StoredFile>>();

  constructor(objects: ObjectStore) {
    this.objects = objects;
  }

  store({ content, ...entry }: SourceEntry, options: StorageOptions): StoredFile {
    const chosen = {
      ...options,
      algorithm: entry.algorithm ?? options.algorithm,
      compressed: entry.compressed ?? options.compressed,
      external: entry.external,
    };
    const { algorithm, compressed, chunkBytes, legacyBulkChunks, external } = chosen;
    const key = [algorithm, compressed, chunkBytes, legacyBulkChunks, external].join();
    const known = this.stored.get(content) ?? new Map<string, StoredFile>();
    this.stored.set(content, known);
    const file = known.get(key) ?? this.write(content, chosen);
    known.set(key, file);
    return file;
  }

  private write(content: Buffer, options: StorageOptions & { readonly external: boolean }): StoredFile {
    const { algorithm, compressed, chunkBytes, external } = options;
    const put = (bytes: Buffer, kind: '' | 'P') =>
      external
        ? hashOf(algorithm, storedBytes(bytes, compressed)).bytes
        : this.objects.put(bytes, kind, algorithm, compressed).bytes;
    const isChunked = chunkBytes !== null && content.length > chunkBytes;
    const hash = isChunked && !options.legacyBulkChunks ? null : put(content, '');
    const offsets = isChunked
      ? Array.from({ length: Math.ceil(content.length / chunkBytes) }, (_, i) => i * chunkBytes)
      : [];
    const chunks = offsets.map((offset) => {
      const piece = content.subarray(offset, offset + (chunkBytes ?? 0));
      return { offset, size: piece.length, hash: put(piece, 'P') };
    });
    return { algorithm, compressed, hash, chunks };
  }
}
