/** What stands in an archive for an entry of a layer's directory: overlayfs's marks become the registry's names. */

import { ThinlayerError } from '../core/errors.js';
import { toContainerId } from '../core/model.js';
import type { IdMap, IdMaps } from '../core/model.js';
import type { ByteString, TreeEntry } from '../core/tree.js';
import type { TarHeader, TarType } from './tar-header.js';

const WHITEOUT_PREFIX = '.wh.';
const OPAQUE_MARKER = '.wh..wh..opq';

const S_IFMT = 0o170000;
const S_IFCHR = 0o020000;

/** By `st_mode & S_IFMT`. Sockets are missing: an archive has no type for them. */
const TYPES: Readonly<Record<number, TarType>> = {
  0o100000: 'file',
  0o120000: 'symlink',
  [S_IFCHR]: 'character',
  0o060000: 'block',
  0o040000: 'directory',
  0o010000: 'fifo',
};

/** None for a socket, two for an opaque directory, else one. */
export function headersOf(entry: TreeEntry, maps: IdMaps): TarHeader[] {
  if (isWhiteout(entry)) return [whiteout(entry)];
  const type = TYPES[entry.mode & S_IFMT];
  if (type === undefined) return [];
  const header = plainHeader(entry, type, maps);
  return isOpaque(entry) ? [header, opaqueMarker(header)] : [header];
}

/** The header that deletes `path` from the layers below. */
export function deletion(path: ByteString): TarHeader {
  return { ...EMPTY_FILE, name: whiteoutName(path) };
}

const EMPTY_FILE: TarHeader = {
  name: '',
  type: 'file',
  mode: 0o600,
  uid: 0,
  gid: 0,
  size: 0,
  mtimeSeconds: 0,
  mtimeNanoseconds: 0,
  major: 0,
  minor: 0,
  link: '',
  xattrs: [],
};

function plainHeader(entry: TreeEntry, type: TarType, maps: IdMaps): TarHeader {
  return {
    name: type === 'directory' ? `${entry.path}/` : entry.path,
    type: entry.isHardLink ? 'link' : type,
    mode: entry.mode & 0o7777,
    uid: mapped(maps.uids, entry.uid, 'user', entry.path),
    gid: mapped(maps.gids, entry.gid, 'group', entry.path),
    size: entry.size,
    mtimeSeconds: entry.mtimeSeconds,
    mtimeNanoseconds: entry.mtimeNanoseconds,
    major: entry.major,
    minor: entry.minor,
    link: entry.link,
    xattrs: entry.xattrs.length === 0 ? entry.xattrs : portableXattrs(entry.xattrs),
  };
}

/** The kernel made it, as the host's root; so its ids are in no map (moby pkg/archive, addTarFile). */
function whiteout(entry: TreeEntry): TarHeader {
  const { uid, gid, mtimeSeconds } = entry;
  return { ...deletion(entry.path), uid, gid, mtimeSeconds: Math.max(0, mtimeSeconds) };
}

/** It takes over the directory's owner and permissions, as Docker's does. */
function opaqueMarker({ name, mode, uid, gid }: TarHeader): TarHeader {
  return { ...EMPTY_FILE, name: name + OPAQUE_MARKER, mode: mode & 0o777, uid, gid };
}

function isWhiteout({ mode, major, minor }: TreeEntry): boolean {
  return (mode & S_IFMT) === S_IFCHR && major === 0 && minor === 0;
}

function isOpaque({ xattrs }: TreeEntry): boolean {
  return xattrs.some(([name, value]) => /^(trusted|user)\.overlay\.opaque$/.test(name) && value === 'y');
}

function whiteoutName(path: ByteString): ByteString {
  const base = path.lastIndexOf('/') + 1;
  return path.slice(0, base) + WHITEOUT_PREFIX + path.slice(base);
}

/** overlayfs's own attributes mean nothing elsewhere. */
function portableXattrs(xattrs: TreeEntry['xattrs']): TreeEntry['xattrs'] {
  return xattrs
    .filter(([name]) => !/^(trusted|user)\.overlay\./.test(name))
    .map(([name, value]) => [name, name === 'security.capability' ? portableCapability(value) : value]);
}

const CAPABILITY_REVISION_BYTE = 3;
const CAPABILITY_V2_BYTES = 20;

/** Revision 3 names the root of the user name space it was set in, which nobody else has: stored as revision 2. */
function portableCapability(value: ByteString): ByteString {
  if (value.charCodeAt(CAPABILITY_REVISION_BYTE) !== 3) return value;
  return `${value.slice(0, CAPABILITY_REVISION_BYTE)}\x02${value.slice(CAPABILITY_REVISION_BYTE + 1, CAPABILITY_V2_BYTES)}`;
}

function mapped(maps: readonly IdMap[], id: number, kind: string, path: ByteString): number {
  const inside = toContainerId(maps, id);
  if (inside >= 0) return inside;
  throw new ThinlayerError(
    'failed_precondition',
    `${path} belongs to ${kind} ${id}, whom no range of the id map holds; give the file to a mapped ${kind}`,
    { op: 'diff', path },
  );
}
