/** Writes the catalogs of a tree, the innermost first, since each names the hashes of those below it. */

import { createHash } from 'node:crypto';

import type { ByteString } from '../../../src/core/tree.js';
import { catalogDatabase, emptyContents, referenceValues } from './catalog-database.js';
import type { CatalogContents, Properties } from './catalog-database.js';
import {
  blob,
  deviceNumber,
  DIRECTORY_SIZE,
  FLAG,
  pathHash,
  rowValues,
  storageFlags,
} from './catalog-rows.js';
import type { FileObjects, StorageOptions } from './file-objects.js';
import { hashText } from './hash.js';
import type { ObjectStore } from './objects.js';
import type { CatalogReference, SourceNode } from './source-tree.js';
import { addCounters, countEntry, newCounters, statisticsValues } from './statistics.js';
import type { Counters } from './statistics.js';

export interface CatalogOptions extends StorageOptions {
  /** Directories get catalogs of their own so that none holds many more entries than this; null: only those marked. */
  readonly maxEntries: number | null;
  readonly rootProperties: Properties;
  readonly revision: number;
  readonly lastModified: number;
}

export interface WrittenCatalog extends CatalogReference {
  /** Of it and of all below. */
  readonly counters: Counters;
  /** Of all below, by path. */
  readonly nested: ReadonlyMap<ByteString, CatalogReference>;
}

/** One catalog while it is filled. */
interface Draft {
  readonly contents: CatalogContents;
  readonly self: Counters;
  readonly subtree: Counters;
  readonly linkGroups: Map<string, number>;
  readonly nested: Map<ByteString, CatalogReference>;
}

export class Catalogs {
  private readonly objects: ObjectStore;
  private readonly files: FileObjects;
  /** By what is in them: a nested catalog in which nothing changed keeps its hash from revision to revision. */
  private readonly written = new Map<string, WrittenCatalog>();

  constructor(objects: ObjectStore, files: FileObjects) {
    this.objects = objects;
    this.files = files;
  }

  write(root: SourceNode, options: CatalogOptions): WrittenCatalog {
    const chosen =
      options.maxEntries === null ? new Set<SourceNode>() : chooseNested(root, options.maxEntries);
    return new CatalogWriter(this.objects, this.files, this.written, chosen, options).catalog(root, '');
  }
}

/** Where a catalog would hold more than `limit` entries, its largest directories get catalogs of their own, the innermost first. */
function chooseNested(root: SourceNode, limit: number): Set<SourceNode> {
  const chosen = new Set<SourceNode>();
  const count = (node: SourceNode): number => {
    const children = [...node.children.values()].map((child) => ({ child, entries: count(child) }));
    let entries = children.reduce((sum, c) => sum + (c.child.nested ? 1 : c.entries), 1);
    for (const largest of children.filter((c) => c.entries > 1).sort((a, b) => b.entries - a.entries)) {
      if (entries <= limit || largest.child.nested) continue;
      chosen.add(largest.child);
      entries -= largest.entries - 1;
    }
    return entries;
  };
  count(root);
  return chosen;
}

class CatalogWriter {
  private readonly objects: ObjectStore;
  private readonly files: FileObjects;
  private readonly written: Map<string, WrittenCatalog>;
  private readonly chosen: ReadonlySet<SourceNode>;
  private readonly options: CatalogOptions;

  constructor(
    objects: ObjectStore,
    files: FileObjects,
    written: Map<string, WrittenCatalog>,
    chosen: ReadonlySet<SourceNode>,
    options: CatalogOptions,
  ) {
    this.objects = objects;
    this.files = files;
    this.written = written;
    this.chosen = chosen;
    this.options = options;
  }

  catalog(node: SourceNode, path: ByteString): WrittenCatalog {
    const draft = newDraft();
    this.directoryRow(draft, node, path, path === '' ? 0 : FLAG.nestedRoot);
    this.fill(draft, node, path);
    draft.contents.statistics.push(...statisticsValues(draft.self, draft.subtree));
    const isRoot = path === '';
    const key = `${this.options.algorithm} ${fingerprint(draft.contents)}`;
    const known = isRoot ? undefined : this.written.get(key);
    const written = known ?? this.store(draft, isRoot ? this.options.rootProperties : { root_prefix: path });
    if (!isRoot) this.written.set(key, written);
    return written;
  }

  private store({ contents, self, subtree, nested }: Draft, more: Properties): WrittenCatalog {
    const { algorithm, revision, lastModified } = this.options;
    const properties = { schema: '2.5', schema_revision: 7, revision, last_modified: lastModified, ...more };
    const database = catalogDatabase(contents, properties);
    const hash = hashText(this.objects.put(database, 'C', algorithm));
    const counters = newCounters();
    addCounters(counters, self);
    addCounters(counters, subtree);
    return { hash, size: database.length, counters, nested };
  }

  private fill(draft: Draft, directory: SourceNode, path: ByteString): void {
    const linkCounts = countLinks(directory);
    for (const [name, child] of directory.children) {
      const childPath = `${path}/${name}`;
      const { hardLink } = child.entry;
      if (child.entry.kind === 'directory') this.directory(draft, child, childPath);
      else this.otherRow(draft, child, childPath, hardLink === null ? 1 : (linkCounts.get(hardLink) ?? 1));
    }
  }

  private directory(draft: Draft, node: SourceNode, path: ByteString): void {
    if (node.bind) {
      this.directoryRow(draft, node, path, FLAG.bindMountpoint);
      draft.contents.binds.push(referenceValues(path, node.bind));
    } else if (node.nested || this.chosen.has(node)) {
      this.directoryRow(draft, node, path, FLAG.nestedMountpoint);
      this.nested(draft, node, path);
    } else {
      this.directoryRow(draft, node, path, 0);
      this.fill(draft, node, path);
    }
  }

  private nested(draft: Draft, node: SourceNode, path: ByteString): void {
    const written = this.catalog(node, path);
    draft.contents.nested.push(referenceValues(path, written));
    draft.nested.set(path, { hash: written.hash, size: written.size });
    for (const [below, reference] of written.nested) draft.nested.set(below, reference);
    draft.self.nested++;
    addCounters(draft.subtree, written.counters);
  }

  private directoryRow(draft: Draft, { entry, children }: SourceNode, path: ByteString, flags: number): void {
    const directories = [...children.values()].filter((child) => child.entry.kind === 'directory');
    const linkCount = 2 + directories.length;
    draft.contents.entries.push(
      rowValues({ path, entry, linkCount, linkGroup: 0, size: DIRECTORY_SIZE, hash: null, flags }),
    );
    countEntry(draft.self, entry, 0);
  }

  private otherRow(draft: Draft, { entry }: SourceNode, path: ByteString, linkCount: number): void {
    const row = { path, entry, linkCount, linkGroup: linkCount > 1 ? groupOf(draft, entry.hardLink) : 0 };
    if (entry.kind !== 'file') {
      const isDevice = entry.kind === 'character' || entry.kind === 'block';
      const size = isDevice ? deviceNumber(entry.device) : entry.target.length;
      draft.contents.entries.push(rowValues({ ...row, size, hash: null, flags: 0 }));
      countEntry(draft.self, entry, 0);
      return;
    }
    const { algorithm, compressed, hash, chunks } = this.files.store(entry, this.options);
    const where = (chunks.length > 0 ? FLAG.chunked : 0) | (entry.external ? FLAG.external : 0);
    const flags = storageFlags(algorithm, compressed) | where;
    draft.contents.entries.push(rowValues({ ...row, size: entry.content.length, hash, flags }));
    for (const chunk of chunks) {
      draft.contents.chunks.push(`${pathHash(path)},${chunk.offset},${chunk.size},${blob(chunk.hash)}`);
    }
    countEntry(draft.self, entry, chunks.length);
  }
}

function newDraft(): Draft {
  return {
    contents: emptyContents(),
    self: newCounters(),
    subtree: newCounters(),
    linkGroups: new Map(),
    nested: new Map(),
  };
}

function countLinks({ children }: SourceNode): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { entry } of children.values()) {
    if (entry.hardLink !== null) counts.set(entry.hardLink, (counts.get(entry.hardLink) ?? 0) + 1);
  }
  return counts;
}

/** Groups are numbered from 1, within a catalog. */
function groupOf({ linkGroups }: Draft, hardLink: string | null): number {
  const key = hardLink ?? '';
  const group = linkGroups.get(key) ?? linkGroups.size + 1;
  linkGroups.set(key, group);
  return group;
}

function fingerprint(contents: CatalogContents): string {
  const hash = createHash('sha1');
  for (const rows of [contents.entries, contents.chunks, contents.nested, contents.binds]) {
    for (const row of rows) hash.update(row).update('\n');
    hash.update('\n');
  }
  return hash.digest('hex');
}
