/** A new revision under a mount that is in use. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { lstatSync, mkdirSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';

import { EIO, MountedFixture, cannotMount, keyOf, readListing } from './cvmfs-fixture.js';
import { assertSame } from './cvmfs-listing.js';

const skip = cannotMount;
const REVISIONS = ['thin/rev-1', 'thin/rev-2-delta'] as const;

/** Opens files, says so, and reads them when it is told to. */
const HOLDER = `
import os, sys
os.chdir(sys.argv[1])
files = [open(name, 'rb') for name in ('README', 'text/crlf', 'dirs/a/b/c/../../../../text/nonl')]
print('open', flush=True)
sys.stdin.readline()
for file in files:
    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    print(len(file.read()), os.fstat(file.fileno()).st_size)
`;

test('a new revision is seen at once, also what was not there; open files go on', { skip }, async (t) => {
  const fixture = await MountedFixture.make(t, REVISIONS, { kernelCacheSeconds: 3600 });
  const before = await fixture.list();
  assertSame(before, readListing('thin/rev-1.jsonl'));
  await assert.rejects(fixture.sh('stat text/new.txt nested/brandnew'), /No such file/);
  const holder = spawn('python3', ['-c', HOLDER, fixture.mountpoint], { stdio: ['pipe', 'pipe', 'inherit'] });
  const output: Buffer[] = [];
  holder.stdout.on('data', (data: Buffer) => output.push(data));
  await once(holder.stdout, 'data');

  await fixture.show('thin/rev-2-delta');

  assert.equal(
    await fixture.sh('wc -c < README; cat links/rel | wc -c; stat -c %u owner/u1000'),
    '31\n18\n1001\n',
  );
  const after = await fixture.list();
  assertSame(after, readListing('thin/rev-2.jsonl'));
  // Now the revision that they were opened in is not even the one before.
  await fixture.show('thin/rev-2-delta');
  const closed = once(holder, 'close');
  holder.stdin.end('go\n');
  await closed;
  assert.equal(Buffer.concat(output).toString(), 'open\n48 48\n6 6\n17 17\n');
  assert.equal(await fixture.sh('wc -c < README'), '31\n');

  const numbers = new Map(before.map((entry) => [keyOf(entry), entry]));
  const same = after.filter((entry) => {
    const old = numbers.get(keyOf(entry));
    return old?.type === entry.type && old['sha256'] === entry['sha256'] && old['target'] === entry['target'];
  });
  assert.ok(same.length > 5000);
  for (const entry of same) {
    if (/^\/big\/chunked/.test(keyOf(entry))) continue; // cannot be read, see cvmfs-listing.ts
    assert.equal(entry['ino'], numbers.get(keyOf(entry))?.['ino'], keyOf(entry));
  }
});

/** Lists the first of a large directory's entries, says so, and lists the others when it is told to. */
const LISTER = `
import os, sys
listing = os.scandir(sys.argv[1] + '/many')
names = [next(listing).name for _ in range(100)]
print('listing', flush=True)
sys.stdin.readline()
names += [entry.name for entry in listing]
print(len(names), len(set(names)))
`;

test(
  'a listing that was begun goes on in the next revision, and names nothing twice',
  { skip },
  async (t) => {
    const fixture = await MountedFixture.make(t, REVISIONS);
    const lister = spawn('python3', ['-c', LISTER, fixture.mountpoint], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const output: Buffer[] = [];
    lister.stdout.on('data', (data: Buffer) => output.push(data));
    await once(lister.stdout, 'data');
    await fixture.show('thin/rev-2-delta');
    const closed = once(lister, 'close');
    lister.stdin.end('go\n');
    await closed;
    assert.equal(Buffer.concat(output).toString(), 'listing\n5000 5000\n');
  },
);

test('a catalog that cannot be opened, for no reason of its own, stays in the cache', { skip }, async (t) => {
  const fixture = await MountedFixture.make(t, REVISIONS);
  const object = `00/${'1'.repeat(38)}C`;
  const path = join(fixture.cache, object);
  mkdirSync(dirname(path), { recursive: true });
  symlinkSync(path, path);
  await assert.rejects(fixture.mount.setRoot(object, 8), {
    code: 'unavailable',
    message: /cannot be opened/,
  });
  assert.ok(lstatSync(path).isSymbolicLink());
});

test('a root catalog that is not there or no catalog leaves the revision as it is', { skip }, async (t) => {
  const fixture = await MountedFixture.make(t, REVISIONS);
  const missing = `00/${'0'.repeat(38)}C`;
  await assert.rejects(fixture.mount.setRoot(missing, 8), { code: 'not_found' });
  await fixture.sh('cat text/nonl');
  const file = fixture.misses.at(-1)?.object ?? '';
  await assert.rejects(fixture.mount.setRoot(file, 8), { code: 'data_loss' });
  assert.equal(fixture.mount.statistics()['revision'], 7);
  assert.equal(await fixture.sh('wc -c < README'), '48\n');
});

test('a changed catalog that cannot be had is asked for once', { skip }, async (t) => {
  const fixture = await MountedFixture.make(t, REVISIONS);
  const directories = (await fixture.sh('find .layers -mindepth 1 -maxdepth 1')).trim().split('\n');
  assert.ok(directories.length > 1);
  const asked = fixture.misses.length;
  fixture.answer = ({ path }) => (path === '/.layers' ? EIO : null);
  await fixture.show('thin/rev-2-delta');
  assert.deepEqual(
    fixture.misses.slice(asked).map(({ path }) => path),
    ['/.layers'],
  );
  fixture.answer = () => null;
  assert.match(await fixture.sh('ls .layers'), /\n/);
});

test('readers during 50 changes of revision see one revision or the other', { skip }, async (t) => {
  const fixture = await MountedFixture.make(t, REVISIONS);
  const readers = fixture.sh(
    'for i in $(seq 1 8); do (while [ ! -e /proc/self/fd/9 ]; do wc -c < README; ls dirs nested > /dev/null; [ $((++n)) -lt 60 ] || break; done) & done; wait',
  );
  for (let change = 0; change < 25; ++change) {
    await fixture.show('thin/rev-2-delta');
    await fixture.show('thin/rev-1');
  }
  const sizes = (await readers).trim().split('\n');
  assert.equal(sizes.length, 480);
  assert.deepEqual(
    sizes.filter((size) => size !== '48' && size !== '31'),
    [],
  );
  assert.equal(await fixture.sh('wc -c < README'), '48\n');
});
