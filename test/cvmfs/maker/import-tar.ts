/** Fills a SourceTree from a tar, or, by way of one, from a directory. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';

import { readTar } from '../../../src/archive/tar/reader.js';
import type { TarHeader, TarType } from '../../../src/archive/tar/header.js';
import type { ByteString } from '../../../src/core/tree.js';
import type { ByteStream } from '../../../src/core/service.js';
import { entryOf } from './source-tree.js';
import type { SourceEntry, SourceKind, SourceTree } from './source-tree.js';

export interface ImportOptions {
  /**
   * Whether hard links of one directory stay links, as `cvmfs_server publish` has it, or become files of their own, as with
   * `cvmfs_server ingest`. Those across directories always do.
   */
  readonly keepHardLinks: boolean;
  /** In place of the archive's owners. */
  readonly owner: { readonly uid: number; readonly gid: number } | null;
  readonly keepNanoseconds: boolean;
}

/** What `cvmfs_server ingest -k` would do. */
const INGEST: ImportOptions = { keepHardLinks: false, owner: null, keepNanoseconds: false };

const KINDS: Readonly<Record<Exclude<TarType, 'link' | 'unknown'>, SourceKind>> = {
  file: 'file',
  symlink: 'symlink',
  'character-device': 'character',
  'block-device': 'block',
  directory: 'directory',
  fifo: 'fifo',
};

/** Puts the entries below `at`, the archive's top directory being `at` itself. Whiteouts stay the files that they are. */
export async function addTar(
  tree: SourceTree,
  archive: ByteStream,
  at: ByteString,
  options: Partial<ImportOptions> = {},
): Promise<void> {
  const chosen = { ...INGEST, ...options };
  for await (const { header, body } of readTar(archive)) {
    const content: Uint8Array[] = [];
    for await (const piece of body) content.push(piece);
    const path = placeOf(at, header.name);
    tree.add(path, entryFor(tree, header, Buffer.concat(content), path, at, chosen));
  }
}

/** All of a directory but its sockets, for which tar has no type. */
export async function addDirectory(
  tree: SourceTree,
  directory: string,
  at: ByteString,
  options: Partial<ImportOptions> = {},
): Promise<void> {
  const args = [
    '--format=pax',
    '--xattrs',
    '--xattrs-include=*',
    '--numeric-owner',
    '--sort=name',
    '-C',
    directory,
  ];
  const tar = spawn('tar', [...args, '-c', '.'], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(tar, 'exit');
  await addTar(tree, tar.stdout, at, { keepHardLinks: true, keepNanoseconds: true, ...options });
  const [status] = (await exited) as [number | null];
  if (status !== 0) throw new Error(`tar of ${directory} ended with ${status}`);
}

function placeOf(at: ByteString, name: ByteString): ByteString {
  const names = `${at}/${name}`.split('/').filter((n) => n !== '' && n !== '.');
  if (names.includes('..')) throw new Error(`${name} leads out of the tree`);
  return `/${names.join('/')}`;
}

function entryFor(
  tree: SourceTree,
  header: TarHeader,
  content: Buffer,
  path: ByteString,
  at: ByteString,
  options: ImportOptions,
): SourceEntry {
  if (header.type === 'unknown') throw new Error(`${header.name} is of the unknown type ${header.typeflag}`);
  if (header.type === 'link') return linkTo(tree, placeOf(at, header.linkname), path, options);
  return entryOf(KINDS[header.type], {
    mode: header.mode,
    uid: header.uid,
    gid: header.gid,
    ...options.owner,
    mtime: header.mtime.seconds,
    mtimeNanoseconds: options.keepNanoseconds ? header.mtime.nanoseconds : null,
    content,
    target: header.type === 'symlink' ? header.linkname : '',
    device: [header.major, header.minor],
    xattrs: new Map([...header.xattrs].map(([name, value]) => [name, Buffer.from(value, 'latin1')])),
  });
}

function linkTo(tree: SourceTree, first: ByteString, path: ByteString, options: ImportOptions): SourceEntry {
  const node = tree.at(first);
  const isNear = first.slice(0, first.lastIndexOf('/')) === path.slice(0, path.lastIndexOf('/'));
  if (!options.keepHardLinks || !isNear) return { ...node.entry, hardLink: null };
  node.entry = { ...node.entry, hardLink: node.entry.hardLink ?? first };
  return node.entry;
}
