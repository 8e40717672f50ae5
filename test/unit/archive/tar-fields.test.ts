import assert from 'node:assert/strict';
import { test } from 'node:test';

import fc from 'fast-check';

import { readTar } from '../../../src/archive/tar/reader.js';
import { chunked, gnuLong, paxEntry, tarEntry } from '../../fakes/tar-bytes.js';
import { headerOf, headersOf } from '../../fakes/tar-entries.js';

test('numbers: octal, base-256, negative, PAX', async () => {
  const big = await headerOf(
    tarEntry({ name: 'a', typeflag: '3', uid: 3_000_000, gid: -2, mtime: -5, major: 7, minor: 300 }),
  );
  assert.deepEqual(
    { uid: big.uid, gid: big.gid, mtime: big.mtime, major: big.major, minor: big.minor },
    { uid: 3_000_000, gid: -2, mtime: { seconds: -5, nanoseconds: 0 }, major: 7, minor: 300 },
  );
  const pax = await headerOf(
    paxEntry([
      ['uid', '70000'],
      ['gid', '-2'],
      ['mtime', '-1.5'],
      ['size', '4'],
    ]),
    tarEntry({ name: 'a', body: 'four', size: 0 }),
  );
  assert.deepEqual(
    { uid: pax.uid, gid: pax.gid, mtime: pax.mtime, size: pax.size },
    { uid: 70000, gid: -2, mtime: { seconds: -2, nanoseconds: 500_000_000 }, size: 4 },
  );
  const spaces = await headerOf(
    tarEntry({
      name: 'a',
      patches: [
        [100, '   644 \0'],
        [108, '\0\0\0\0\0\0\0\0'],
      ],
    }),
  );
  assert.deepEqual([spaces.mode, spaces.uid], [0o644, 0]);
  await assert.rejects(headerOf(tarEntry({ name: 'a', patches: [[108, '12x4567\0']] })), {
    code: 'invalid_argument',
  });
  await assert.rejects(headerOf(paxEntry([['uid', '1e3']]), tarEntry({ name: 'a' })), {
    code: 'invalid_argument',
  });
  await assert.rejects(headerOf(paxEntry([['size', '-1']]), tarEntry({ name: 'a' })), {
    code: 'invalid_argument',
  });
});

test('base-256 is the reverse of what was put in', async () => {
  const number = fc.maxSafeInteger();
  await fc.assert(
    fc.asyncProperty(number, async (mtime) => {
      assert.equal((await headerOf(tarEntry({ name: 'a', mtime }))).mtime.seconds, mtime);
    }),
    { numRuns: 50 },
  );
});

test('sizes over 8 GiB, in both ways to write them', async () => {
  const size = 9 * 1024 ** 3;
  for (const entries of [
    [tarEntry({ name: 'a', size })],
    [paxEntry([['size', String(size)]]), tarEntry({ name: 'a' })],
  ]) {
    const iterator = readTar(chunked(Buffer.concat(entries)));
    const first = await iterator.next();
    assert.equal(first.done === true ? null : first.value.header.size, size);
    await iterator.return(undefined);
  }
});

test('names: bytes stay bytes, prefix, GNU and PAX long ones', async () => {
  const bytes = 'caf\xe9-\xff';
  assert.equal((await headerOf(tarEntry({ name: bytes }))).name, bytes);
  assert.equal((await headerOf(paxEntry([['path', bytes]]), tarEntry({ name: 'a' }))).name, bytes);
  assert.equal((await headerOf(gnuLong('L', bytes), tarEntry({ name: 'a' }))).name, bytes);
  assert.equal((await headerOf(gnuLong('K', bytes), tarEntry({ name: 'a', typeflag: '2' }))).linkname, bytes);
  assert.equal((await headerOf(tarEntry({ name: 'b', patches: [[345, 'd/e']] }))).name, 'd/e/b');
  // GNU has times in that place.
  assert.equal(
    (await headerOf(tarEntry({ name: 'b', magic: 'ustar  \0', patches: [[345, '00000000000']] }))).name,
    'b',
  );
  const both = await headerOf(gnuLong('L', 'gnu'), paxEntry([['path', 'pax']]), tarEntry({ name: 'a' }));
  assert.equal(both.name, 'pax');
  const [, second] = await headersOf(
    paxEntry([['path', 'x']]),
    tarEntry({ name: 'a' }),
    tarEntry({ name: 'b' }),
  );
  assert.equal(second?.name, 'b');
});

test('extended attributes are bytes, also empty ones', async () => {
  const capability = '\x01\x00\x00\x02\x00\x04\x00\x00\xff\x80\n=\x00';
  const header = await headerOf(
    paxEntry([
      ['SCHILY.xattr.security.capability', capability],
      ['SCHILY.xattr.user.empty', ''],
      ['LIBARCHIVE.xattr.user.a%20b', Buffer.from('\xfe\xff', 'latin1').toString('base64')],
      ['LIBARCHIVE.xattr.user.both', Buffer.from('no').toString('base64')],
      ['SCHILY.xattr.user.both', 'yes'],
    ]),
    tarEntry({ name: 'a' }),
  );
  assert.deepEqual(Object.fromEntries(header.xattrs), {
    'security.capability': capability,
    'user.empty': '',
    'user.a b': '\xfe\xff',
    'user.both': 'yes',
  });
});

test('PAX globals are ignored, an empty record takes one back', async () => {
  const header = await headerOf(
    paxEntry([['path', 'global']], 'g'),
    paxEntry([['path', '']]),
    tarEntry({ name: 'a' }),
  );
  assert.equal(header.name, 'a');
});

test('an xattr whose name holds = and %, as GNU tar writes it', async () => {
  const { xattrs } = await headerOf(
    paxEntry([['SCHILY.xattr.user.a%3Db%2525', 'value']]),
    tarEntry({ name: 'a' }),
  );
  assert.deepEqual([...xattrs], [['user.a=b%25', 'value']]);
});
