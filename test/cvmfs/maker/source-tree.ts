/** The tree to be published, in memory. Names are byte strings: one character a byte (latin1). */

import type { ByteString } from '../../../src/core/tree.js';
import type { HashAlgorithm } from './hash.js';

export type SourceKind = 'directory' | 'file' | 'symlink' | 'character' | 'block' | 'fifo' | 'socket';

export interface SourceEntry {
  readonly kind: SourceKind;
  /** 0 to 0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Seconds; may be negative. */
  readonly mtime: number;
  /** null: not stored. */
  readonly mtimeNanoseconds: number | null;
  readonly content: Buffer;
  readonly target: ByteString;
  readonly device: readonly [major: number, minor: number];
  readonly xattrs: ReadonlyMap<ByteString, Buffer>;
  /** Files of one directory with the same mark are one file; null: a file of its own. */
  readonly hardLink: string | null;
  /** Where they differ from the repository's. */
  readonly algorithm: HashAlgorithm | null;
  readonly compressed: boolean | null;
  /** Its content is not among the objects, but on another server, by its path. */
  readonly external: boolean;
  /** Flags of the catalog beyond those of its kind: hidden 0x8000, direct I/O 0x10000. */
  readonly flags: number;
}

export interface SourceNode {
  entry: SourceEntry;
  readonly children: Map<ByteString, SourceNode>;
  /** It gets a catalog of its own. */
  nested: boolean;
  /** A root catalog of an earlier revision, to be shown here. */
  bind: CatalogReference | null;
}

export interface CatalogReference {
  /** With the algorithm's tail. */
  readonly hash: string;
  readonly size: number;
}

const PLAIN: Omit<SourceEntry, 'kind' | 'mode'> = {
  uid: 0,
  gid: 0,
  mtime: 1_700_000_000,
  mtimeNanoseconds: null,
  content: Buffer.alloc(0),
  target: '',
  device: [0, 0],
  xattrs: new Map(),
  hardLink: null,
  algorithm: null,
  compressed: null,
  external: false,
  flags: 0,
};

const MODES: Readonly<Record<SourceKind, number>> = {
  directory: 0o755,
  file: 0o644,
  symlink: 0o777,
  character: 0o644,
  block: 0o644,
  fifo: 0o644,
  socket: 0o644,
};

export type EntryDetails = Partial<Omit<SourceEntry, 'kind'>>;

export function entryOf(kind: SourceKind, details: EntryDetails = {}): SourceEntry {
  return { ...PLAIN, kind, mode: MODES[kind], ...details };
}

export function bytes(text: string): ByteString {
  return Buffer.from(text).toString('latin1');
}

/** Paths are absolute, `/` is the root. Parents that are missing are made. */
export class SourceTree {
  readonly root: SourceNode = newNode(entryOf('directory'));

  file(path: ByteString, content: Buffer | string, details: EntryDetails = {}): this {
    return this.add(path, entryOf('file', { ...details, content: Buffer.from(content) }));
  }

  directory(path: ByteString, details: EntryDetails = {}): this {
    return this.add(path, entryOf('directory', details));
  }

  symlink(path: ByteString, target: ByteString, details: EntryDetails = {}): this {
    return this.add(path, entryOf('symlink', { ...details, target }));
  }

  /** Takes the place of what is there; a directory in place of a directory keeps what is in it. */
  add(path: ByteString, entry: SourceEntry): this {
    const names = namesOf(path);
    const name = names.pop();
    if (name === undefined) {
      this.root.entry = entry;
      return this;
    }
    const parent = this.makeDirectories(names);
    const present = parent.children.get(name);
    if (present && present.entry.kind === 'directory' && entry.kind === 'directory') present.entry = entry;
    else parent.children.set(name, newNode(entry));
    return this;
  }

  remove(path: ByteString): this {
    const names = namesOf(path);
    const name = names.pop() ?? '';
    if (!this.makeDirectories(names).children.delete(name)) throw new Error(`${path} is not in the tree`);
    return this;
  }

  /** Gives the directory a catalog of its own, or takes it away. */
  nest(path: ByteString, nested = true): this {
    this.at(path).nested = nested;
    return this;
  }

  bind(path: ByteString, catalog: CatalogReference): this {
    this.directory(path).at(path).bind = catalog;
    return this;
  }

  at(path: ByteString): SourceNode {
    const node = this.find(path);
    if (!node) throw new Error(`${path} is not in the tree`);
    return node;
  }

  find(path: ByteString): SourceNode | undefined {
    return namesOf(path).reduce<SourceNode | undefined>((n, name) => n?.children.get(name), this.root);
  }

  /** All but the root, parents first. */
  *walk(node = this.root, path = ''): Generator<[path: ByteString, node: SourceNode]> {
    for (const [name, child] of node.children) {
      yield [`${path}/${name}`, child];
      yield* this.walk(child, `${path}/${name}`);
    }
  }

  private makeDirectories(names: readonly ByteString[]): SourceNode {
    let node = this.root;
    for (const name of names) {
      const next = node.children.get(name) ?? newNode(entryOf('directory'));
      node.children.set(name, next);
      node = next;
    }
    return node;
  }
}

function newNode(entry: SourceEntry): SourceNode {
  return { entry, children: new Map(), nested: false, bind: null };
}

function namesOf(path: ByteString): ByteString[] {
  return path.split('/').filter((name) => name !== '');
}
