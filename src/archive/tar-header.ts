/**
 * Headers of a tar archive (POSIX.1-1988 ustar), with an extended header (POSIX.1-2001 pax) before those that need
 * one. Ours and not tar-stream's: that writes text where names and attributes are bytes, and ids up to 262,143.
 */

import { isUtf8 } from 'node:buffer';

import type { ByteString } from '../core/tree.js';

export const BLOCK = 512;

export type TarType = 'file' | 'link' | 'symlink' | 'character' | 'block' | 'directory' | 'fifo' | 'extended';

export interface TarHeader {
  /** Directories with a slash at the end. */
  readonly name: ByteString;
  readonly type: TarType;
  /** Permissions, without the bits of the type. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtimeSeconds: number;
  readonly mtimeNanoseconds: number;
  readonly major: number;
  readonly minor: number;
  /** Target of a symlink or link, else empty. */
  readonly link: ByteString;
  readonly xattrs: readonly (readonly [name: ByteString, value: ByteString])[];
}

const TYPE_FLAGS: Readonly<Record<TarType, number>> = {
  file: 0x30,
  link: 0x31,
  symlink: 0x32,
  character: 0x33,
  block: 0x34,
  directory: 0x35,
  fifo: 0x36,
  extended: 0x78,
};

const NAME_BYTES = 100;
const PREFIX_BYTES = 155;
const MAX_7_DIGITS = 0o7777777;
const MAX_11_DIGITS = 0o77777777777;

/** What does not fit into a plain header, as pax records; empty if all fits. */
export function extendedRecords(header: TarHeader): ByteString {
  let records = '';
  if (needsRecord(header.name, splitName(header.name) !== null)) records += record('path', header.name);
  if (needsRecord(header.link, header.link.length <= NAME_BYTES)) records += record('linkpath', header.link);
  if (header.uid > MAX_7_DIGITS) records += record('uid', String(header.uid));
  if (header.gid > MAX_7_DIGITS) records += record('gid', String(header.gid));
  if (header.size > MAX_11_DIGITS) records += record('size', String(header.size));
  if (!isPlainTime(header)) records += record('mtime', formatTime(header));
  for (const [name, value] of header.xattrs) records += record(`SCHILY.xattr.${escapeKey(name)}`, value);
  return records;
}

/** Bytes that `writeHeader` fills. */
export function headerBytes(records: ByteString): number {
  return records === '' ? BLOCK : BLOCK + padded(records.length) + BLOCK;
}

/** `to` must hold zeros from `at` on. `records` are this header's `extendedRecords`. */
export function writeHeader(to: Buffer, at: number, header: TarHeader, records: ByteString): void {
  if (records === '') return writePlain(to, at, header);
  writePlain(to, at, { ...EXTENDED, size: records.length });
  to.write(records, at + BLOCK, 'latin1');
  writePlain(to, at + BLOCK + padded(records.length), header);
}

/** Its name is what those see who do not know extended headers; the same for all, so that archives are reproducible. */
const EXTENDED: TarHeader = {
  name: '././@PaxHeader',
  type: 'extended',
  mode: 0o644,
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

/** A value that an extended header tells stands as 0 here, as Go's archive/tar has it. */
function writePlain(to: Buffer, at: number, header: TarHeader): void {
  const { prefix, name } = splitName(header.name) ?? { prefix: '', name: header.name };
  to.write(name, at, NAME_BYTES, 'latin1');
  writeOctal(to, at + 100, 7, header.mode);
  writeOctal(to, at + 108, 7, header.uid > MAX_7_DIGITS ? 0 : header.uid);
  writeOctal(to, at + 116, 7, header.gid > MAX_7_DIGITS ? 0 : header.gid);
  writeOctal(to, at + 124, 11, header.size > MAX_11_DIGITS ? 0 : header.size);
  writeOctal(to, at + 136, 11, isPlainSeconds(header.mtimeSeconds) ? header.mtimeSeconds : 0);
  to[at + 156] = TYPE_FLAGS[header.type];
  if (header.link !== '') to.write(header.link, at + 157, NAME_BYTES, 'latin1');
  to.write('ustar\u000000', at + 257, 'latin1');
  writeOctal(to, at + 329, 7, header.major);
  writeOctal(to, at + 337, 7, header.minor);
  if (prefix !== '') to.write(prefix, at + 345, 'latin1');
  writeChecksum(to, at);
}

function writeOctal(to: Buffer, at: number, digits: number, value: number): void {
  let rest = value;
  for (let i = at + digits - 1; i >= at; i--) {
    const higher = Math.floor(rest / 8);
    to[i] = 0x30 + (rest - higher * 8);
    rest = higher;
  }
}

/** The sum of the header's bytes, its own eight counted as spaces: six digits, NUL, space. */
function writeChecksum(to: Buffer, at: number): void {
  let sum = 8 * 0x20;
  for (let i = at; i < at + BLOCK; i++) sum += to[i] ?? 0;
  writeOctal(to, at + 148, 6, sum);
  to[at + 155] = 0x20;
}

/** Null if the name fits neither whole nor split at one of its slashes. */
function splitName(name: ByteString): { prefix: ByteString; name: ByteString } | null {
  if (name.length <= NAME_BYTES) return { prefix: '', name };
  const slash = name.lastIndexOf('/', Math.min(PREFIX_BYTES, name.length - 2));
  if (slash < 1 || name.length - slash - 1 > NAME_BYTES) return null;
  return { prefix: name.slice(0, slash), name: name.slice(slash + 1) };
}

/** Text beyond ASCII belongs into an extended header; bytes that are no text are safer where nobody decodes them. */
function needsRecord(text: ByteString, fits: boolean): boolean {
  return !fits || (/[\x80-\xff]/.test(text) && isUtf8(Buffer.from(text, 'latin1')));
}

function isPlainSeconds(seconds: number): boolean {
  return seconds >= 0 && seconds <= MAX_11_DIGITS;
}

function isPlainTime(header: TarHeader): boolean {
  return header.mtimeNanoseconds === 0 && isPlainSeconds(header.mtimeSeconds);
}

/** Seconds with as many decimals as there are: -2 s + 500,000,000 ns is `-1.5`. */
function formatTime({ mtimeSeconds, mtimeNanoseconds }: TarHeader): string {
  if (mtimeNanoseconds === 0) return String(mtimeSeconds);
  const negative = mtimeSeconds < 0;
  const whole = negative ? -(mtimeSeconds + 1) : mtimeSeconds;
  const fraction = negative ? 1_000_000_000 - mtimeNanoseconds : mtimeNanoseconds;
  const decimals = String(fraction).padStart(9, '0').replace(/0+$/, '');
  return `${negative ? '-' : ''}${whole}.${decimals}`;
}

/** `LENGTH key=value\n`, where LENGTH counts itself. */
function record(key: ByteString, value: ByteString): ByteString {
  const rest = key.length + value.length + 3;
  let length = rest + String(rest).length;
  length = rest + String(length).length;
  return `${length} ${key}=${value}\n`;
}

/** As GNU tar does: a record's key ends at the first `=`. */
function escapeKey(name: ByteString): ByteString {
  return name.replaceAll('%', '%25').replaceAll('=', '%3D');
}

function padded(length: number): number {
  return Math.ceil(length / BLOCK) * BLOCK;
}
