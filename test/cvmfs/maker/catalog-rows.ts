/** How an entry is written into a catalog (schema 2.5, revision 7). */

import { createHash } from 'node:crypto';

import type { ByteString } from '../../../src/core/tree.js';
import { ALGORITHMS } from './hash.js';
import type { HashAlgorithm } from './hash.js';
import type { SourceEntry, SourceKind } from './source-tree.js';

export const FLAG = {
  directory: 1,
  nestedMountpoint: 2,
  file: 4,
  symlink: 8,
  special: 16,
  nestedRoot: 32,
  chunked: 64,
  external: 128,
  bindMountpoint: 0x4000,
} as const;

const KIND_FLAGS: Readonly<Record<SourceKind, number>> = {
  directory: FLAG.directory,
  file: FLAG.file,
  symlink: FLAG.file | FLAG.symlink,
  character: FLAG.file | FLAG.special,
  block: FLAG.file | FLAG.special,
  fifo: FLAG.file | FLAG.special,
  socket: FLAG.file | FLAG.special,
};

const TYPE_BITS: Readonly<Record<SourceKind, number>> = {
  directory: 0o040000,
  file: 0o100000,
  symlink: 0o120000,
  character: 0o020000,
  block: 0o060000,
  fifo: 0o010000,
  socket: 0o140000,
};

export const DIRECTORY_SIZE = 4096;

export interface Row {
  /** Absolute; the root's is empty. */
  readonly path: ByteString;
  readonly entry: SourceEntry;
  readonly linkCount: number;
  /** 0: no hard links. */
  readonly linkGroup: number;
  readonly size: number;
  readonly hash: Buffer | null;
  /** Beyond those of the kind. */
  readonly flags: number;
}

/** The values of a row of the table `catalog`. */
export function rowValues(row: Row): string {
  const { path, entry } = row;
  const slash = path.lastIndexOf('/');
  const parent = path === '' ? '0,0' : pathHash(path.slice(0, slash));
  const hardlinks = (BigInt(row.linkGroup) << 32n) | BigInt(row.linkCount);
  return [
    pathHash(path),
    parent,
    hardlinks,
    row.hash ? blob(row.hash) : 'NULL',
    row.size,
    TYPE_BITS[entry.kind] | entry.mode,
    entry.mtime,
    entry.mtimeNanoseconds ?? 'NULL',
    KIND_FLAGS[entry.kind] | entry.flags | row.flags,
    text(path.slice(slash + 1)),
    text(entry.target),
    entry.uid,
    entry.gid,
    entry.xattrs.size === 0 ? 'NULL' : blob(xattrBlob(entry.xattrs)),
  ].join(',');
}

/** Both halves of the MD5 of a path, each read as a signed little-endian number. */
export function pathHash(path: ByteString): string {
  const digest = createHash('md5').update(path, 'latin1').digest();
  return `${digest.readBigInt64LE(0)},${digest.readBigInt64LE(8)}`;
}

export function storageFlags(algorithm: HashAlgorithm, compressed: boolean): number {
  return (ALGORITHMS.indexOf(algorithm) << 8) | (compressed ? 0 : 1 << 11);
}

/** glibc's makedev: catalogs keep the number of a device in its size. */
export function deviceNumber([major, minor]: readonly [number, number]): number {
  const high = (BigInt(major & ~0xfff) << 32n) | (BigInt(minor & ~0xff) << 12n);
  return Number(high | BigInt((major & 0xfff) << 8) | BigInt(minor & 0xff));
}

/** Any bytes: neither a quote nor what is no UTF-8 harms. */
export function text(value: ByteString): string {
  return /^[\w.+-]*$/.test(value) ? `'${value}'` : `CAST(${blob(Buffer.from(value, 'latin1'))} AS TEXT)`;
}

export function blob(value: Buffer): string {
  return `x'${value.toString('hex')}'`;
}

/** Version 1, the number of attributes, then each with its lengths before it. */
export function xattrBlob(xattrs: ReadonlyMap<ByteString, Buffer>): Buffer {
  const parts = [...xattrs].flatMap(([name, value]) => [
    Buffer.from([name.length, value.length & 0xff]),
    Buffer.from(name, 'latin1'),
    value,
  ]);
  return Buffer.concat([Buffer.from([1, xattrs.size]), ...parts]);
}
