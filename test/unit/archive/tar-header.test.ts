import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { test } from 'node:test';

import fc from 'fast-check';
import * as tar from 'tar-stream';

import { BLOCK, extendedRecords, headerBytes, writeHeader } from '../../../src/archive/tar-header.js';
import type { TarHeader, TarType } from '../../../src/archive/tar-header.js';

const PLAIN: TarHeader = {
  name: 'etc/hosts',
  type: 'file',
  mode: 0o644,
  uid: 0,
  gid: 0,
  size: 0,
  mtimeSeconds: 1_700_000_000,
  mtimeNanoseconds: 0,
  major: 0,
  minor: 0,
  link: '',
  xattrs: [],
};

function encode(header: TarHeader): Buffer {
  const records = extendedRecords(header);
  const bytes = Buffer.alloc(headerBytes(records));
  writeHeader(bytes, 0, header, records);
  return bytes;
}

/** Records of the extended header, by a reader that shares nothing with the writer. */
function parseRecords(bytes: Buffer): Map<string, string> {
  const records = new Map<string, string>();
  if (bytes.length === BLOCK) return records;
  assert.equal(String.fromCharCode(bytes[156] ?? 0), 'x');
  const size = parseInt(bytes.toString('latin1', 124, 135), 8);
  for (let at = BLOCK; at < BLOCK + size;) {
    const space = bytes.indexOf(0x20, at);
    const length = Number(bytes.toString('latin1', at, space));
    const equals = bytes.indexOf(0x3d, space);
    assert.equal(bytes[at + length - 1], 0x0a, 'a record ends where its length says');
    records.set(
      bytes.toString('latin1', space + 1, equals),
      bytes.toString('latin1', equals + 1, at + length - 1),
    );
    at += length;
  }
  return records;
}

/** What tar-stream reads. */
async function decode(bytes: Buffer): Promise<tar.Header> {
  const extract = tar.extract();
  Readable.from([bytes, Buffer.alloc(2 * BLOCK)]).pipe(extract);
  for await (const entry of extract) {
    entry.resume();
    return entry.header;
  }
  throw new Error('no entry');
}

const segment = fc
  .string({ unit: fc.constantFrom(...'abcXYZ019._-'), minLength: 1, maxLength: 60 })
  .filter((s) => s !== '.' && s !== '..');
const asciiPath = fc.array(segment, { minLength: 1, maxLength: 8 }).map((parts) => parts.join('/'));
const id = fc.oneof(fc.nat(70_000), fc.nat(2 ** 32 - 2));
const kinds = ['file', 'link', 'symlink', 'character', 'block', 'directory', 'fifo'] as const;
const TAR_STREAM_TYPES: Partial<Record<TarType, string>> = {
  file: 'file',
  link: 'link',
  symlink: 'symlink',
  character: 'character-device',
  block: 'block-device',
  directory: 'directory',
  fifo: 'fifo',
};

const anyHeader = fc.constantFrom(...kinds).chain((type) =>
  fc.record<TarHeader>({
    name: type === 'directory' ? asciiPath.map((path) => `${path}/`) : asciiPath,
    type: fc.constant(type),
    mode: fc.nat(0o7777),
    uid: id,
    gid: id,
    size: fc.constant(0),
    mtimeSeconds: fc.oneof(fc.nat(2 ** 31), fc.integer({ min: -(2 ** 33), max: 2 ** 35 })),
    mtimeNanoseconds: fc.oneof(fc.constant(0), fc.nat(999_999_999)),
    major: type === 'character' || type === 'block' ? fc.nat(4095) : fc.constant(0),
    minor: type === 'character' || type === 'block' ? fc.nat(2 ** 20 - 1) : fc.constant(0),
    link: type === 'link' || type === 'symlink' ? asciiPath : fc.constant(''),
    xattrs: fc.array(
      fc.tuple(fc.constantFrom('user.a', 'security.capability'), fc.string({ maxLength: 40 })),
      {
        maxLength: 2,
      },
    ),
  }),
);

test('tar-stream reads what was written', async () => {
  await fc.assert(
    fc.asyncProperty(anyHeader, async (header) => {
      const read = await decode(encode(header));
      const pax = new Map(Object.entries(read.pax ?? {}));
      assert.equal(read.type, TAR_STREAM_TYPES[header.type]);
      assert.equal(read.name, header.name);
      assert.equal(read.linkname ?? '', header.link);
      assert.equal(read.mode, header.mode);
      assert.equal(Number(pax.get('uid') ?? read.uid), header.uid);
      assert.equal(Number(pax.get('gid') ?? read.gid), header.gid);
      assert.equal(read.devmajor ?? 0, header.major);
      assert.equal(read.devminor ?? 0, header.minor);
      const mtime = Number(pax.get('mtime') ?? (read.mtime?.getTime() ?? NaN) / 1000);
      assert.ok(Math.abs(mtime - (header.mtimeSeconds + header.mtimeNanoseconds / 1e9)) < 1e-5);
    }),
    { numRuns: 200 },
  );
});

test('records hold any bytes', () => {
  const bytes = fc.uint8Array({ minLength: 1, maxLength: 300 }).map((b) => Buffer.from(b).toString('latin1'));
  fc.assert(
    fc.property(bytes, bytes, (value, link) => {
      const header = { ...PLAIN, link: `${link}${'x'.repeat(100)}`, xattrs: [['user.v', value]] as const };
      const records = parseRecords(encode(header));
      assert.equal(records.get('SCHILY.xattr.user.v'), value);
      assert.equal(records.get('linkpath'), header.link);
    }),
  );
});

test('a record counts its own length where that adds a digit', () => {
  for (let n = 1; n < 1100; n++) {
    const value = 'v'.repeat(n);
    assert.equal(
      parseRecords(encode({ ...PLAIN, xattrs: [['user.v', value]] })).get('SCHILY.xattr.user.v'),
      value,
    );
  }
});

test('common entries take one block', () => {
  const plain: Partial<TarHeader>[] = [
    {},
    { uid: 2_097_151, gid: 2_097_151 },
    { size: 0o77777777777 },
    { name: 'n'.repeat(100) },
    { name: `${'p'.repeat(155)}/${'n'.repeat(100)}` },
    { name: `${'p'.repeat(155)}/${'n'.repeat(99)}/`, type: 'directory' },
    { name: 'caf\xe9' },
    { link: 'l'.repeat(100), type: 'symlink' },
  ];
  for (const part of plain) assert.equal(encode({ ...PLAIN, ...part }).length, BLOCK, JSON.stringify(part));
});

test('what does not fit becomes a record', () => {
  const utf8 = Buffer.from('größe/日本').toString('latin1');
  const cases: [Partial<TarHeader>, string, string][] = [
    [{ uid: 2_097_152 }, 'uid', '2097152'],
    [{ gid: 4_294_967_294 }, 'gid', '4294967294'],
    [{ size: 0o100000000000 }, 'size', '8589934592'],
    [{ name: 'n'.repeat(101) }, 'path', 'n'.repeat(101)],
    [{ name: `${'p'.repeat(156)}/${'n'.repeat(100)}` }, 'path', `${'p'.repeat(156)}/${'n'.repeat(100)}`],
    [{ name: `${'\xff'.repeat(101)}` }, 'path', '\xff'.repeat(101)],
    [{ name: utf8 }, 'path', utf8],
    [{ link: 'l'.repeat(101), type: 'symlink' }, 'linkpath', 'l'.repeat(101)],
    [{ mtimeSeconds: 12, mtimeNanoseconds: 500_000_000 }, 'mtime', '12.5'],
    [{ mtimeSeconds: 12, mtimeNanoseconds: 1 }, 'mtime', '12.000000001'],
    [{ mtimeSeconds: -2, mtimeNanoseconds: 500_000_000 }, 'mtime', '-1.5'],
    [{ mtimeSeconds: -1, mtimeNanoseconds: 500_000_000 }, 'mtime', '-0.5'],
    [{ mtimeSeconds: -7 }, 'mtime', '-7'],
    [{ xattrs: [['user.a=b', 'c=d\0\n']] }, 'SCHILY.xattr.user.a%3Db', 'c=d\0\n'],
  ];
  for (const [part, key, value] of cases) {
    assert.equal(parseRecords(encode({ ...PLAIN, ...part })).get(key), value, key);
  }
});
