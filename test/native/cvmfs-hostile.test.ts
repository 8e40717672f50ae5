/** Catalogs that lie. A bad row is EIO, a bad catalog is refused; nothing crashes, hangs or climbs out. */

import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { MountedFixture, cannotMount, poisonCatalog } from './cvmfs-fixture.js';

const skip = cannotMount;

/** Root of the shake fixture: /text/nonl is a small file, /big/chunked.bin has chunks, /nested a nested catalog. */
const ROOT = '07/22a6783854d9c8d43031ed4da5c7f7d1491b2a-shake128C';
const BAD = `ba/${'d'.repeat(38)}C`;

async function poison(fixture: MountedFixture, sql: string): Promise<void> {
  mkdirSync(join(fixture.cache, 'ba'), { recursive: true });
  await poisonCatalog(join(fixture.cache, ROOT), join(fixture.cache, BAD), sql);
}

async function withPoisoned(
  t: Parameters<typeof MountedFixture.make>[0],
  sql: string,
): Promise<MountedFixture> {
  const fixture = await MountedFixture.make(t, ['shake/repo'], { kernelCacheSeconds: 0 });
  await poison(fixture, sql);
  await fixture.mount.setRoot(BAD, 2);
  return fixture;
}

const of = (path: string): string => `WHERE md5path_1 = path1('${path}') AND md5path_2 = path2('${path}')`;
const NONL = of('/text/nonl');
const CHUNKED = of('/big/chunked.bin');
const addRow = (name: string, path: string, parent = '/text'): string =>
  `INSERT INTO catalog SELECT path1('${path}'), path2('${path}'), path1('${parent}'), path2('${parent}'), hardlinks, hash,
     size, mode, mtime, mtimens, flags, ${name}, symlink, uid, gid, xattr FROM catalog ${NONL};`;

const LIST_XATTRS = `python3 -c 'import os; print(os.listxattr("text/nonl"))'`;

/** What is done to the catalog, and what must be an I/O error then. */
const ROWS: Readonly<Record<string, readonly [string, string]>> = {
  'a mode without a type': [`UPDATE catalog SET mode = 420 ${NONL};`, 'stat text/nonl'],
  'a mode with too many bits': [`UPDATE catalog SET mode = 33188 + 1048576 ${NONL};`, 'stat text/nonl'],
  'a mode of an unknown type': [`UPDATE catalog SET mode = 61440 ${NONL};`, 'stat text/nonl'],
  'a size below nothing': [`UPDATE catalog SET size = -1 ${NONL};`, 'stat text/nonl'],
  'a size that the object has not': [
    `UPDATE catalog SET size = 9223372036854775807 ${NONL};`,
    'cat text/nonl',
  ],
  'a number that is text': [`UPDATE catalog SET mode = 'many' ${NONL};`, 'stat text/nonl'],
  'a user id too large': [`UPDATE catalog SET uid = 4294967296 ${NONL};`, 'stat text/nonl'],
  'a group id below nothing': [`UPDATE catalog SET gid = -1 ${NONL};`, 'stat text/nonl'],
  'nanoseconds of more than a second': [`UPDATE catalog SET mtimens = 1000000000 ${NONL};`, 'stat text/nonl'],
  'negative flags': [`UPDATE catalog SET flags = -1 ${NONL};`, 'stat text/nonl'],
  'an unknown hash algorithm': [`UPDATE catalog SET flags = 4 + 256 * 7 ${NONL};`, 'cat text/nonl'],
  'an unknown compression': [`UPDATE catalog SET flags = 4 + 2048 * 3 ${NONL};`, 'cat text/nonl'],
  'a hash that is too short': [`UPDATE catalog SET hash = x'010203' ${NONL};`, 'stat text/nonl'],
  'a hash that is too long': [`UPDATE catalog SET hash = zeroblob(4000) ${NONL};`, 'stat text/nonl'],
  'no hash': [`UPDATE catalog SET hash = NULL ${NONL};`, 'cat text/nonl'],
  'another name than its path': [`UPDATE catalog SET name = 'other' ${NONL};`, 'stat text/nonl'],
  'attributes of another version': [`UPDATE catalog SET xattr = x'0201016161' ${NONL};`, LIST_XATTRS],
  'attributes that are cut off': [`UPDATE catalog SET xattr = x'01ff0510757365' ${NONL};`, LIST_XATTRS],
  'an attribute without a name': [`UPDATE catalog SET xattr = x'01010001ff' ${NONL};`, LIST_XATTRS],
  'an empty link': [`UPDATE catalog SET symlink = '' ${of('/links/rel')};`, 'stat links/rel'],
  'a link with a NUL': [`UPDATE catalog SET symlink = x'610062' ${of('/links/rel')};`, 'stat links/rel'],
  'a link that is too long': [
    `UPDATE catalog SET symlink = hex(zeroblob(4096)) ${of('/links/rel')};`,
    'stat links/rel',
  ],
  'a listing with a slash in a name': [addRow(`'../x'`, '/text/../x'), 'ls text'],
  'a listing with no name': [addRow(`''`, '/text/'), 'ls text'],
  'a listing with ..': [addRow(`'..'`, '/text/..'), 'ls text'],
  'a listing with a NUL in a name': [addRow(`x'610062'`, '/text/a'), 'ls text'],
  'a listing with a name that is too long': [
    addRow(`hex(zeroblob(128))`, `/text/${'00'.repeat(128)}`),
    'ls text',
  ],
  'a listing with a stranger': [addRow(`'nonl2'`, '/owner/nonl2'), 'ls text'],
  'a directory below itself': [
    `UPDATE catalog SET parent_1 = path1('/text'), parent_2 = path2('/text') ${of('/text')};`,
    'ls text',
  ],
  'a gap between chunks': [
    `UPDATE chunks SET offset = offset + 1 ${CHUNKED} AND offset > 0;`,
    'stat big/chunked.bin',
  ],
  'chunks that end too early': [`DELETE FROM chunks ${CHUNKED} AND offset > 300000;`, 'stat big/chunked.bin'],
  'chunks that end too late': [`UPDATE catalog SET size = size - 1 ${CHUNKED};`, 'stat big/chunked.bin'],
  'a chunk of huge size': [
    `UPDATE chunks SET size = 9223372036854775807 ${CHUNKED};`,
    'stat big/chunked.bin',
  ],
  'a chunk of negative size': [`UPDATE chunks SET size = -size ${CHUNKED};`, 'stat big/chunked.bin'],
  'a chunk at a negative offset': [`UPDATE chunks SET offset = -offset ${CHUNKED};`, 'stat big/chunked.bin'],
  'a chunk without a hash': [`UPDATE chunks SET hash = x'' ${CHUNKED};`, 'stat big/chunked.bin'],
  'no chunks': [`DELETE FROM chunks;`, 'stat big/chunked.bin'],
};

for (const [name, [sql, command]] of Object.entries(ROWS)) {
  test(`a row with ${name} is an I/O error, alone`, { skip }, async (t) => {
    const fixture = await withPoisoned(t, sql);
    await assert.rejects(fixture.sh(command), /Input\/output error/);
    assert.equal(await fixture.sh('wc -c < owner/u1000; ls nested | wc -l'), '18\n3\n');
  });
}

/** Refused as a whole: the revision before stays. */
const CATALOGS: Readonly<Record<string, string>> = {
  'an old schema': `UPDATE properties SET value = '1.2' WHERE key = 'schema';`,
  'a future schema': `UPDATE properties SET value = '3.0' WHERE key = 'schema';`,
  'no schema': `DELETE FROM properties;`,
  'no entries': `DROP TABLE chunks; DROP TABLE catalog;`,
  'a view for its entries': `ALTER TABLE catalog RENAME TO c; CREATE VIEW catalog AS SELECT * FROM c;`,
  'a view that never ends': `DROP TABLE statistics; CREATE VIEW statistics AS WITH RECURSIVE n(counter, value) AS
    (SELECT 'x', 1 UNION ALL SELECT counter, value + 1 FROM n) SELECT counter, value FROM n WHERE value < 0;`,
  'a prefix that climbs': `INSERT INTO properties VALUES ('root_prefix', '/a/../b');`,
  'a nested catalog that climbs': `UPDATE nested_catalogs SET path = '/nested/../../x' WHERE path = '/nested';`,
  'a nested catalog at its own root': `UPDATE nested_catalogs SET path = '' WHERE path = '/nested';`,
  'a nested catalog without a hash': `UPDATE nested_catalogs SET sha1 = '../../../../etc/passwd';`,
  'a nested catalog of negative size': `UPDATE nested_catalogs SET size = -1;`,
  'a bound catalog without a hash': `INSERT INTO bind_mountpoints VALUES ('/text', 'zz', 1);`,
};

for (const [name, sql] of Object.entries(CATALOGS)) {
  test(`a catalog with ${name} is refused`, { skip }, async (t) => {
    const fixture = await MountedFixture.make(t, ['shake/repo']);
    await poison(fixture, sql);
    await assert.rejects(fixture.mount.setRoot(BAD, 2), { code: 'data_loss' });
    assert.equal(await fixture.sh('wc -c < text/nonl'), '17\n');
  });
}

test('older catalogs without the newer columns and tables are read', { skip }, async (t) => {
  const fixture = await withPoisoned(
    t,
    `UPDATE properties SET value = '0' WHERE key = 'schema_revision'; DROP TABLE bind_mountpoints;
     ALTER TABLE catalog DROP COLUMN mtimens; ALTER TABLE catalog DROP COLUMN xattr; ALTER TABLE nested_catalogs DROP COLUMN size;`,
  );
  const [entry] = (await fixture.list('/text')).filter(({ path }) => path === '/nonl');
  assert.deepEqual([entry?.['size'], entry?.['mtime_ns']], [17, 0]);
  assert.equal(await fixture.sh('ls nested | wc -l'), '3\n');
});

test('hidden and external flags are heeded', { skip }, async (t) => {
  const fixture = await withPoisoned(
    t,
    `UPDATE catalog SET flags = flags | 32768 ${NONL};
     UPDATE catalog SET flags = flags | 128 ${of('/text/lorem.txt')};`,
  );
  assert.equal(await fixture.sh('ls text | grep -c nonl || true; wc -c < text/nonl'), '0\n17\n');
  await fixture.sh('cat text/lorem.txt > /dev/null');
  assert.equal(fixture.misses.at(-1)?.external, true);
});

test('damage at random is an error or nothing, and never the end', { skip }, async (t) => {
  const fixture = await MountedFixture.make(t, ['shake/repo'], { kernelCacheSeconds: 0 });
  const whole = readFileSync(join(fixture.cache, ROOT));
  const rounds = Number(process.env['THINLAYER_FUZZ'] ?? 60);
  let seed = 1;
  const random = (below: number): number => {
    seed = (seed * 48271) % 2147483647;
    return seed % below;
  };
  mkdirSync(join(fixture.cache, 'ba'), { recursive: true });
  let shown = 0;
  for (let round = 0; round < rounds; ++round) {
    const damaged = Buffer.from(whole);
    for (let n = 1 + random(40); n > 0; --n) damaged[100 + random(damaged.length - 100)] = random(256);
    const object = `ba/${String(round).padStart(38, '0')}C`;
    writeFileSync(
      join(fixture.cache, object),
      round % 10 === 9 ? damaged.subarray(0, random(damaged.length)) : damaged,
    );
    try {
      await fixture.mount.setRoot(object, round + 2);
      shown += 1;
    } catch (error) {
      assert.equal((error as { code: string }).code, 'data_loss');
      continue;
    }
    await fixture.sh('find . -ls -type f -exec cat {} + > /dev/null 2>&1; true');
  }
  assert.ok(shown > rounds / 4, `${shown} of ${rounds} damaged catalogs could be shown at all`);
  copyFileSync(join(fixture.cache, ROOT), join(fixture.cache, BAD));
  await fixture.mount.setRoot(BAD, 999);
  assert.equal(await fixture.sh('wc -c < text/nonl'), '17\n');
});
