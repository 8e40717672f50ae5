/** From an entry's header to the node that a tree gets. */

import { ThinlayerError } from '../core/errors.js';
import { toHostId } from '../core/model.js';
import type { IdMap, IdMaps } from '../core/model.js';
import type { ByteString, NodeMetadata, TreeNode } from '../core/tree.js';
import { entryPath } from './entry-path.js';
import type { TarHeader } from './tar/header.js';

/** What the kernel packs a device number into. */
const MAX_MAJOR = 0xfff;
const MAX_MINOR = 0xfffff;

/** -1 as the kernel takes it: chown leaves the owner as it is. */
const NO_ID = 0xffffffff;

/** How overlayfs itself notes things. Whiteouts say in an archive what is meant; anything else in these could redirect a directory. */
const OVERLAY_XATTR = /^(trusted|user)\.overlay\./;

/** Throws `invalid_argument` for a type, id or device number that cannot be. */
export function treeNode(header: TarHeader, path: ByteString, idMaps: IdMaps): TreeNode {
  const metadata = metadataOf(header, path, idMaps);
  // The spread last: V8 copies an object that is spread first six times slower.
  switch (header.type) {
    case 'directory':
    case 'fifo':
      return { type: header.type, ...metadata };
    case 'file':
      return { type: 'file', size: header.sparse?.size ?? header.size, ...metadata };
    case 'symlink':
      return { type: 'symlink', target: header.linkname, ...metadata };
    case 'link':
      return { type: 'link', target: entryPath(header.linkname), ...metadata };
    case 'character-device':
    case 'block-device':
      return { type: header.type, ...deviceNumber(header, path), ...metadata };
    case 'unknown':
      throw invalid(path, `its type ${JSON.stringify(header.typeflag)} is not supported`);
  }
}

/** The host's owner of an entry. */
export function ownerOf(header: TarHeader, path: ByteString, idMaps: IdMaps): { uid: number; gid: number } {
  return {
    uid: hostId(idMaps.uids, header.uid, 'uid', path),
    gid: hostId(idMaps.gids, header.gid, 'gid', path),
  };
}

function metadataOf(header: TarHeader, path: ByteString, idMaps: IdMaps): NodeMetadata {
  const { mode, mtime } = header;
  const { uid, gid } = ownerOf(header, path, idMaps);
  return { path, mode, uid, gid, mtime, xattrs: ownXattrs(header.xattrs) };
}

/** Most entries have none: no copy for those. */
function ownXattrs(xattrs: TarHeader['xattrs']): TarHeader['xattrs'] {
  if (xattrs.size === 0) return xattrs;
  return new Map([...xattrs].filter(([name]) => !OVERLAY_XATTR.test(name)));
}

/** Old archives have 32-bit ids as negative numbers: -2 for nobody. */
function hostId(maps: readonly IdMap[], id: number, what: 'uid' | 'gid', path: ByteString): number {
  const unsigned = id < 0 && id >= -0x80000000 ? id + 0x100000000 : id;
  const mapped = toHostId(maps, unsigned);
  if (mapped >= 0 && mapped < NO_ID) return mapped;
  const reason = maps.length === 0 ? 'no id of this system' : 'in no range of the id map';
  throw invalid(path, `its ${what} ${id} is ${reason}`);
}

function deviceNumber(header: TarHeader, path: ByteString): { major: number; minor: number } {
  const { major, minor } = header;
  if (major >= 0 && major <= MAX_MAJOR && minor >= 0 && minor <= MAX_MINOR) return { major, minor };
  throw invalid(path, `its device number ${major}:${minor} is none of Linux`);
}

function invalid(path: ByteString, reason: string): ThinlayerError {
  return new ThinlayerError(
    'invalid_argument',
    `the archive's entry ${JSON.stringify(path)} cannot be unpacked: ${reason}`,
    {
      op: 'apply',
      path,
    },
  );
}
