/** One entry's header: the 512-byte block, and what PAX and GNU records before it replace. */

import type { ByteString, TreeTime } from '../../core/tree.js';
import { numberField, textField } from './fields.js';
import { malformed } from './malformed.js';
import { decimal, decodePaxTime } from './pax.js';
import type { PaxRecords } from './pax.js';
import { oldGnuSparse, paxSparse } from './sparse.js';
import type { Sparse } from './sparse.js';

export type TarType =
  | 'file'
  | 'link'
  | 'symlink'
  | 'character-device'
  | 'block-device'
  | 'directory'
  | 'fifo'
  /** `typeflag` says which. */
  | 'unknown';

export interface TarHeader {
  /** As the archive has it. */
  readonly name: ByteString;
  readonly type: TarType;
  readonly typeflag: string;
  /** Target of a link or symlink. */
  readonly linkname: ByteString;
  /** 0 to 0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: TreeTime;
  readonly major: number;
  readonly minor: number;
  /** Bytes of contents that the archive stores. */
  readonly size: number;
  /** Null: the contents are the file. */
  readonly sparse: Sparse | null;
  readonly xattrs: ReadonlyMap<ByteString, ByteString>;
}

/** What stood before the header block, or, for `extensions`, behind it. */
export interface Prelude {
  readonly pax: PaxRecords;
  readonly longName: ByteString | null;
  readonly longLink: ByteString | null;
  readonly extensions: readonly Buffer[];
}

const TYPES: Readonly<Record<string, TarType>> = {
  '\0': 'file',
  '0': 'file',
  '1': 'link',
  '2': 'symlink',
  '3': 'character-device',
  '4': 'block-device',
  '5': 'directory',
  '6': 'fifo',
  '7': 'file', // contiguous: a request to the disk driver of a system long gone
  S: 'file', // GNU sparse
};

/** Of most entries. */
const NO_PAX: ReadonlyMap<string, string> = new Map();

const SCHILY_XATTR = 'SCHILY.xattr.';
const LIBARCHIVE_XATTR = 'LIBARCHIVE.xattr.';

export function decodeHeader(block: Buffer, prelude: Prelude): TarHeader {
  // An empty value takes a record back; of an xattr it is the value.
  const pax = prelude.pax.length === 0 ? NO_PAX : new Map(prelude.pax.filter(([, value]) => value !== ''));
  const typeflag = block.toString('latin1', 156, 157);
  const name = pax.get('GNU.sparse.name') ?? pax.get('path') ?? prelude.longName ?? nameField(block);
  const type = typeOf(typeflag, name);
  return {
    name,
    type,
    typeflag,
    linkname: pax.get('linkpath') ?? prelude.longLink ?? textField(block, 157, 100),
    mode: numberField(block, 100, 8, 'mode') & 0o7777,
    uid: paxNumber(pax, 'uid') ?? numberField(block, 108, 8, 'uid'),
    gid: paxNumber(pax, 'gid') ?? numberField(block, 116, 8, 'gid'),
    mtime: mtimeOf(block, pax),
    major: deviceField(block, 329, type),
    minor: deviceField(block, 337, type),
    size: storedSize(block, type, pax),
    sparse: sparseOf(block, typeflag, prelude),
    xattrs: prelude.pax.length === 0 ? NO_PAX : xattrsOf(prelude.pax),
  };
}

/** Before POSIX, a directory was a file whose name ends with a slash. */
function typeOf(typeflag: string, name: ByteString): TarType {
  const type = Object.hasOwn(TYPES, typeflag) ? (TYPES[typeflag] ?? 'unknown') : 'unknown';
  return type === 'file' && name.endsWith('/') ? 'directory' : type;
}

/** POSIX has a prefix of 155 bytes for long names; star of 131, and times behind; GNU and Unix v7 have none. */
function nameField(block: Buffer): ByteString {
  const name = textField(block, 0, 100);
  if (block.toString('latin1', 257, 263) !== 'ustar\0') return name;
  const isStar = block.toString('latin1', 508, 512) === 'tar\0';
  const prefix = textField(block, 345, isStar ? 131 : 155);
  return prefix === '' ? name : `${prefix}/${name}`;
}

function sparseOf(block: Buffer, typeflag: string, prelude: Prelude): Sparse | null {
  if (typeflag === 'S') return oldGnuSparse(block, prelude.extensions);
  return prelude.pax.length === 0 ? null : paxSparse(prelude.pax);
}

/** Some writers give links and directories the size of what they stand for, and store nothing: Go's reader, which Docker uses, takes it as 0. */
function storedSize(block: Buffer, type: TarType, pax: ReadonlyMap<string, string>): number {
  if (type !== 'file' && type !== 'unknown') return 0;
  const size = paxNumber(pax, 'size') ?? numberField(block, 124, 12, 'size');
  if (size < 0) throw malformed('an entry has a negative size');
  return size;
}

function mtimeOf(block: Buffer, pax: ReadonlyMap<string, string>): TreeTime {
  const text = pax.get('mtime');
  if (text !== undefined) return decodePaxTime(text);
  return { seconds: numberField(block, 136, 12, 'modification time'), nanoseconds: 0 };
}

/** Other types may have anything in these fields. */
function deviceField(block: Buffer, offset: number, type: TarType): number {
  if (type !== 'character-device' && type !== 'block-device') return 0;
  return numberField(block, offset, 8, 'device number');
}

function paxNumber(pax: ReadonlyMap<string, string>, key: string): number | undefined {
  const text = pax.get(key);
  if (text === undefined) return undefined;
  const value = text.startsWith('-') ? -decimal(text.slice(1)) : decimal(text);
  if (Number.isSafeInteger(value)) return value;
  throw malformed(`the PAX record ${key}=${JSON.stringify(text.slice(0, 40))} is not a number`);
}

/** GNU tar, star and Go write the value as it is; libarchive adds its own record, in base64 and with an URL-encoded name. */
function xattrsOf(pax: PaxRecords): Map<ByteString, ByteString> {
  const xattrs = new Map<ByteString, ByteString>();
  for (const [key, value] of pax) {
    if (!key.startsWith(LIBARCHIVE_XATTR)) continue;
    xattrs.set(
      urlDecoded(key.slice(LIBARCHIVE_XATTR.length)),
      Buffer.from(value, 'base64').toString('latin1'),
    );
  }
  for (const [key, value] of pax) {
    if (key.startsWith(SCHILY_XATTR)) xattrs.set(unescaped(key.slice(SCHILY_XATTR.length)), value);
  }
  return xattrs;
}

/** A PAX key cannot hold `=`: GNU tar writes `%3D` for it, and `%25` for `%`. */
function unescaped(name: ByteString): ByteString {
  return name.replaceAll('%3D', '=').replaceAll('%25', '%');
}

function urlDecoded(text: ByteString): ByteString {
  return text.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
}
