/** Unpacks an archive into a directory: parsed here, written by the addon's threads while the next entries are parsed. */

import { ThinlayerError } from '../core/errors.js';
import { toHostId } from '../core/model.js';
import type { IdMaps } from '../core/model.js';
import type { ApplyOptions } from '../core/ports.js';
import type { ByteStream } from '../core/service.js';
import type { OverlayPrefix, TreeWriter, TreeWriterOptions, TreeWriters } from '../core/tree.js';
import { entryPath } from './entry-path.js';
import { segmentsOf } from './tar/sparse.js';
import { readTar } from './tar/reader.js';
import type { TarEntry } from './tar/reader.js';
import { ownerOf, treeNode } from './tree-node.js';
import { meaningOf } from './whiteouts.js';

export interface ApplyArchiveOptions extends ApplyOptions {
  /** `trusted.overlay.` if not given. `user.overlay.` means a user namespace, where device nodes cannot be made: they are left out, as Docker does. */
  readonly overlayPrefix?: OverlayPrefix;
}

/** See `Archive.apply` in core/ports.ts. When it settles, nothing of it works on any more. */
export async function applyArchive(
  writers: TreeWriters,
  root: string,
  tar: ByteStream,
  options: ApplyArchiveOptions,
): Promise<void> {
  const writer = writers.open(root, writerOptions(options));
  try {
    for await (const entry of readTar(tar, options.signal)) await applyEntry(writer, entry, options);
    await writer.finish();
  } finally {
    await writer.close();
  }
}

function writerOptions(options: ApplyArchiveOptions): TreeWriterOptions {
  return {
    owner: mappedRoot(options.idMaps),
    overlayPrefix: options.overlayPrefix ?? 'trusted.overlay.',
    clears: options.whiteouts === 'remove',
    remote: options.remote ?? false,
  };
}

function mappedRoot(idMaps: IdMaps): { uid: number; gid: number } {
  const owner = { uid: toHostId(idMaps.uids, 0), gid: toHostId(idMaps.gids, 0) };
  if (owner.uid >= 0 && owner.gid >= 0) return owner;
  throw new ThinlayerError('invalid_argument', 'the id maps have no range that holds root (0)', {
    op: 'apply',
  });
}

async function applyEntry(writer: TreeWriter, entry: TarEntry, options: ApplyArchiveOptions): Promise<void> {
  const { kind, path } = meaningOf(entryPath(entry.header.name));
  const inPlace = options.whiteouts === 'remove';
  switch (kind) {
    case 'ignored':
      return;
    case 'opaque':
      return inPlace ? writer.clear(path) : writer.opaque(path);
    case 'whiteout':
      if (inPlace) return writer.remove(path);
      return writer.whiteout(path, {
        ...ownerOf(entry.header, path, options.idMaps),
        mtime: entry.header.mtime,
      });
    case 'node':
      return applyNode(writer, entry, path, options);
  }
}

async function applyNode(
  writer: TreeWriter,
  entry: TarEntry,
  path: string,
  options: ApplyArchiveOptions,
): Promise<void> {
  const node = treeNode(entry.header, path, options.idMaps);
  if (path === '.' && node.type !== 'directory') {
    throw new ThinlayerError('invalid_argument', `the archive makes its root a ${node.type}`, {
      op: 'apply',
      path,
    });
  }
  if ('major' in node && options.overlayPrefix === 'user.overlay.') return;
  await writer.create(node);
  const { size, sparse } = entry.header;
  if (node.type !== 'file' || (size === 0 && sparse === null)) return;
  for await (const { offset, bytes } of segmentsOf(sparse, entry.body)) {
    await writer.write(offset, bytes);
  }
}
