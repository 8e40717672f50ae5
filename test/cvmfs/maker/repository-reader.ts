/**
 * Reads a repository the way its format is described, to check what was made: the chain of trust with the openssl command, every
 * catalog with sqlite3, every object against its name. It shares no code with the maker beyond the two commands.
 */

import { execFileSync } from 'node:child_process';
import { createHash, X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inflateSync } from 'node:zlib';

import { query } from './sqlite.js';

export interface ReadEntry {
  readonly type: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: number;
  readonly mtimeNanoseconds: number | null;
  readonly size: number;
  readonly linkCount: number;
  /** 0: none. */
  readonly linkGroup: number;
  readonly target: string;
  readonly flags: number;
  readonly xattrs: Readonly<Record<string, string>>;
  /** SHA-256 of the content of a file. */
  readonly sha256: string | null;
}

export interface ReadRepository {
  readonly manifest: ReadonlyMap<string, string>;
  /** By path; the root's is empty. Strings are byte strings. */
  readonly entries: ReadonlyMap<string, ReadEntry>;
  readonly catalogs: ReadonlyMap<string, ReadonlyMap<string, string>>;
}

/** Throws for anything that is not as it should be. */
export function readRepository(directory: string, fqrn: string, masterPublicPem: string): ReadRepository {
  const manifest = readManifest(directory, fqrn, masterPublicPem);
  const walk = new CatalogWalk(directory);
  walk.catalog(required(manifest, 'C'), '', Number(required(manifest, 'B')));
  return { manifest, entries: walk.entries, catalogs: walk.catalogs };
}

interface Letter {
  readonly lines: readonly string[];
  readonly hash: string;
  readonly signature: Buffer;
}

function readManifest(directory: string, fqrn: string, masterPublicPem: string): Map<string, string> {
  const { lines, hash, signature } = readLetter(join(directory, '.cvmfspublished'));
  const fields = new Map(lines.map((line) => [line.charAt(0), line.slice(1)]));
  equal(required(fields, 'N'), fqrn, 'the name in the manifest');
  equal(required(fields, 'R'), digest('md5', Buffer.alloc(0)), 'the root path');
  const pem = readObject(directory, required(fields, 'X'), 'X', true).toString();
  const certificate = new X509Certificate(pem);
  const key = certificate.publicKey.export({ type: 'spki', format: 'pem' }).toString();
  openssl({ key, hash, signature }, ['dgst', '-sha1', '-verify', 'key', '-signature', 'signature', 'hash']);
  checkWhitelist(directory, fqrn, masterPublicPem, certificate.raw);
  return fields;
}

function checkWhitelist(directory: string, fqrn: string, masterPublicPem: string, certificate: Buffer): void {
  const { lines, hash, signature } = readLetter(join(directory, '.cvmfswhitelist'));
  const arguments_ = ['pkeyutl', '-verifyrecover', '-pubin', '-inkey', 'key', '-in', 'signature'];
  equal(
    openssl({ key: masterPublicPem, hash, signature }, arguments_),
    hash,
    'the hash signed in the whitelist',
  );
  const [issued = '', expires = '', name = '', ...fingerprints] = lines;
  if (!/^\d{14}$/.test(issued)) throw new Error(`the whitelist has no date: ${issued}`);
  const now = new Date().toISOString().replaceAll(/[-:T]/g, '').slice(0, 10);
  if (!/^E\d{14}$/.test(expires) || expires.slice(1, 11) <= now)
    throw new Error(`the whitelist ended: ${expires}`);
  equal(name, `N${fqrn}`, 'the name in the whitelist');
  const hashes = fingerprints.map((line) =>
    line
      .replace(/[ \t#].*/, '')
      .replaceAll(':', '')
      .toLowerCase(),
  );
  if (!hashes.some((text) => text.length >= 40 && hashLike(text, certificate) === text)) {
    throw new Error('the certificate is not on the whitelist');
  }
}

function readLetter(path: string): Letter {
  const content = readFileSync(path);
  const end = content.indexOf('\n--\n') + 1;
  const newline = content.indexOf('\n', end + 3);
  const body = content.subarray(0, end);
  const hash = content.toString('latin1', end + 3, newline);
  equal(hashLike(hash, body), hash, `the hash of ${path}`);
  return {
    lines: body.toString('latin1').trimEnd().split('\n'),
    hash,
    signature: content.subarray(newline + 1),
  };
}

/** Runs openssl in a directory with these files, and answers its output; throws if it fails. */
function openssl(files: Readonly<Record<string, string | Buffer>>, args: readonly string[]): string {
  const directory = mkdtempSync(join(tmpdir(), 'thinlayer-openssl-'));
  try {
    for (const [name, content] of Object.entries(files)) writeFileSync(join(directory, name), content);
    return execFileSync('openssl', args, { cwd: directory, stdio: ['ignore', 'pipe', 'pipe'] }).toString(
      'latin1',
    );
  } finally {
    rmSync(directory, { recursive: true });
  }
}

const COLUMNS =
  'hex(name),md5path_1,md5path_2,parent_1,parent_2,hardlinks,hex(hash),size,mode,mtime,mtimens,flags,hex(symlink),uid,gid,hex(xattr)';

class CatalogWalk {
  readonly entries = new Map<string, ReadEntry>();
  readonly catalogs = new Map<string, ReadonlyMap<string, string>>();
  private readonly directory: string;

  constructor(directory: string) {
    this.directory = directory;
  }

  catalog(hash: string, prefix: string, size: number): void {
    const database = readObject(this.directory, hash, 'C', true);
    equal(database.length, size, `the size of the catalog of "${prefix}"`);
    const properties = new Map(
      query(database, 'SELECT key, value FROM properties').map(([k = '', v = '']) => [k, v]),
    );
    equal(properties.get('root_prefix') ?? '', prefix, 'the prefix of the catalog');
    this.catalogs.set(prefix, properties);
    const reader = new CatalogReader(this.directory, database);
    for (const [path, entry] of reader.walk(prefix)) {
      const known = this.entries.get(path);
      if (known) sameMountpoint(path, known, entry);
      this.entries.set(path, entry);
    }
    reader.checkAllWereSeen();
    for (const [path = '', nested = '', bytes] of query(
      database,
      'SELECT hex(path), sha1, size FROM nested_catalogs',
    )) {
      this.catalog(nested, fromHex(path), Number(bytes));
    }
  }
}

type Columns = readonly string[];

/** The entries of one catalog, found from its root entry downwards. */
class CatalogReader {
  private readonly directory: string;
  private readonly byParent = new Map<string, Columns[]>();
  private readonly roots = new Map<string, Columns>();
  private readonly chunks = new Map<string, Columns[]>();
  private unseen = 0;

  constructor(directory: string, database: Buffer) {
    this.directory = directory;
    for (const row of query(database, `SELECT ${COLUMNS} FROM catalog`)) {
      push(this.byParent, `${row[3]},${row[4]}`, row);
      this.roots.set(`${row[1]},${row[2]}`, row);
      this.unseen++;
    }
    for (const row of query(
      database,
      'SELECT md5path_1, md5path_2, offset, size, hex(hash) FROM chunks ORDER BY offset',
    )) {
      push(this.chunks, `${row[0]},${row[1]}`, row);
    }
  }

  *walk(path: string, row = this.roots.get(pathKey(path))): Generator<[string, ReadEntry]> {
    if (!row) throw new Error(`the catalog has no entry for its own root "${path}"`);
    this.unseen--;
    const entry = this.entry(path, row);
    yield [path, entry];
    if (entry.type !== 0o040000 || (entry.flags & 2) !== 0) return;
    for (const child of this.byParent.get(pathKey(path)) ?? []) {
      const childPath = `${path}/${fromHex(child[0] ?? '')}`;
      if (childPath !== '/') yield* this.walk(childPath, child);
    }
  }

  checkAllWereSeen(): void {
    if (this.unseen !== 0) throw new Error(`${this.unseen} entries of a catalog cannot be reached`);
  }

  private entry(path: string, row: Columns): ReadEntry {
    const [
      ,
      first,
      second,
      ,
      ,
      links,
      hash = '',
      size,
      mode,
      mtime,
      nanoseconds,
      flags,
      target,
      uid,
      gid,
      xattr,
    ] = row;
    equal(`${first},${second}`, pathKey(path), `the hash of the path ${path}`);
    const type = Number(mode) & 0o170000;
    const hardlinks = BigInt(links ?? 0);
    const isFile = type === 0o100000;
    return {
      type,
      mode: Number(mode) & 0o7777,
      uid: Number(uid),
      gid: Number(gid),
      mtime: Number(mtime),
      mtimeNanoseconds: nanoseconds === '' ? null : Number(nanoseconds),
      size: Number(size),
      linkCount: Number(hardlinks & 0xffffffffn),
      linkGroup: Number(hardlinks >> 32n),
      target: fromHex(target ?? ''),
      flags: Number(flags),
      xattrs: readXattrs(Buffer.from(xattr ?? '', 'hex')),
      sha256: isFile ? this.contentHash(`${first},${second}`, hash, Number(size), Number(flags)) : null,
    };
  }

  private contentHash(key: string, hash: string, size: number, flags: number): string {
    const tail = ['', '-rmd160', '-shake128'][(flags >> 8) & 7] ?? '-unknown';
    const isCompressed = ((flags >> 11) & 7) === 0;
    const read = (hex: string, kind: string) =>
      readObject(this.directory, hex.toLowerCase() + tail, kind, isCompressed);
    const chunks = this.chunks.get(key) ?? [];
    equal((flags & 64) !== 0, chunks.length > 0, 'the flag of a chunked file');
    let offset = 0;
    const pieces = chunks.map(([, , at, length, hex = '']) => {
      equal(Number(at), offset, 'where a chunk begins');
      offset += Number(length);
      return read(hex, 'P');
    });
    const content = chunks.length > 0 ? Buffer.concat(pieces) : read(hash, '');
    equal(content.length, size, 'the size of a file');
    return digest('sha256', content);
  }
}

function readObject(directory: string, hash: string, kind: string, compressed: boolean): Buffer {
  const stored = readFileSync(join(directory, 'data', hash.slice(0, 2), hash.slice(2) + kind));
  equal(hashLike(hash, stored), hash, `the hash of the object ${hash}${kind}`);
  return compressed ? inflateSync(stored) : stored;
}

/** The hash of these bytes by the algorithm that a hash's text names. */
function hashLike(text: string, content: Uint8Array): string {
  const tail = text.slice(40);
  if (tail === '-shake128') {
    return createHash('shake128', { outputLength: 20 }).update(content).digest('hex') + tail;
  }
  return digest(tail === '-rmd160' ? 'ripemd160' : 'sha1', content) + tail;
}

function digest(algorithm: string, content: Uint8Array): string {
  return createHash(algorithm).update(content).digest('hex');
}

function pathKey(path: string): string {
  const md5 = createHash('md5').update(Buffer.from(path, 'latin1')).digest();
  return `${md5.readBigInt64LE(0)},${md5.readBigInt64LE(8)}`;
}

function readXattrs(blob: Buffer): Record<string, string> {
  const xattrs: Record<string, string> = {};
  let at = 2;
  for (let left = blob[1] ?? 0; left > 0; left--) {
    const [nameLength = 0, valueLength = 0] = blob.subarray(at, at + 2);
    const value = at + 2 + nameLength;
    xattrs[blob.toString('latin1', at + 2, value)] = blob.toString('base64', value, value + valueLength);
    at = value + valueLength;
  }
  equal(blob.length === 0 || blob[0] === 1, true, 'the version of the attributes');
  equal(blob.length === 0 ? 2 : blob.length, at, 'the length of the attributes');
  return xattrs;
}

/** A nested catalog's root stands in both catalogs, and is the same but for its flags. */
function sameMountpoint(path: string, above: ReadEntry, below: ReadEntry): void {
  equal(above.flags & ~0x8000, 3, `the flags of the mountpoint ${path}`);
  equal(below.flags & ~0x8000, 33, `the flags of the nested root ${path}`);
  equal(
    JSON.stringify({ ...above, flags: 0 }),
    JSON.stringify({ ...below, flags: 0 }),
    `both entries of ${path}`,
  );
}

function push(map: Map<string, Columns[]>, key: string, row: Columns): void {
  const rows = map.get(key);
  if (rows) rows.push(row);
  else map.set(key, [row]);
}

function fromHex(text: string): string {
  return Buffer.from(text, 'hex').toString('latin1');
}

function required(map: ReadonlyMap<string, string>, key: string): string {
  const value = map.get(key);
  if (value === undefined) throw new Error(`the manifest has no ${key}`);
  return value;
}

function equal<T>(actual: T, expected: T, what: string): void {
  if (actual !== expected) throw new Error(`${what} is ${String(actual)}, not ${String(expected)}`);
}
