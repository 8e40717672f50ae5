/** A new revision under a mount that is in use. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { lstatSync, mkdirSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';

import { MadeRepository } from '../cvmfs/made-repository.js';
import { SourceTree } from '../cvmfs/maker/source-tree.js';
import type { MountedClient } from '../cvmfs/mounted-client.js';
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

test("open files go on while a new revision's catalog cannot be had, and until then", { skip }, async (t) => {
  const repository = await MadeRepository.make(t);
  const tree = (revision: number) =>
    new SourceTree()
      .file('/d0/held', `start 1${PADDING}middle${PADDING}end 1`)
      .file('/d0/other', `${revision}`)
      .nest('/d0');
  repository.maker.publish(tree(1));
  const client = await repository.mount(t);
  await client.sh('cat d0/* > /dev/null; dd if=d0/held iflag=nocache count=0 status=none');
  const held = await open(join(client.mountpoint, 'd0/held'));
  t.after(() => held.close());
  const size = 2 * PADDING.length + 18;

  const nested = repository.maker.publish(tree(2)).nested.get('/d0');
  assert.ok(nested);
  const catalog = repository.maker.catalogFile(nested);
  renameSync(catalog, `${catalog}.late`);
  await client.ask('POST', '/refresh');
  await letGo(client);
  assert.equal((await held.stat()).size, size);
  assert.equal(await textAt(held, size - 5), 'end 1');
  await assert.rejects(client.sh('cat d0/other'), /Input\/output error/);
  await client.ask('POST', '/refresh');
  await letGo(client);
  assert.equal((await held.stat()).size, size);
  assert.equal(await textAt(held, PADDING.length + 7, 6), 'middle');

  renameSync(`${catalog}.late`, catalog);
  await client.until(async () => (await client.sh('cat d0/other || true')) === '2');
  assert.equal((await held.stat()).size, size);
});

test('an empty directory whose new catalog cannot be had is not taken for empty', { skip }, async (t) => {
  const repository = await MadeRepository.make(t);
  const { maker } = repository;
  maker.publish(new SourceTree().directory('/d0').nest('/d0'));
  const client = await repository.mount(t, { settings: { CVMFS_KCACHE_TIMEOUT: '3600' } });
  assert.equal(await client.sh('ls d0'), '');
  const nested = maker.publish(new SourceTree().file('/d0/late', '').nest('/d0')).nested.get('/d0');
  assert.ok(nested);
  renameSync(maker.catalogFile(nested), `${maker.catalogFile(nested)}.late`);
  await client.ask('POST', '/refresh');
  await assert.rejects(client.sh('ls d0'), /Input\/output error/);
});

/** Opens a file of a nested catalog, says so, and tells of it what it is when it is told to. */
const NESTED_HOLDER = `
import os, sys
file = open(sys.argv[1] + '/nested/a', 'rb')
print('open', flush=True)
sys.stdin.readline()
print(os.fstat(file.fileno()).st_size, flush=True)
sys.stdin.readline()
`;

test(
  "who has a file open does not wait for a new revision's catalog",
  { skip, timeout: 60_000 },
  async (t) => {
    const fixture = await MountedFixture.make(t, REVISIONS, { kernelCacheSeconds: 0 });
    const holder = spawn('python3', ['-c', NESTED_HOLDER, fixture.mountpoint], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const lines = createInterface(holder.stdout)[Symbol.asyncIterator]();
    assert.equal((await lines.next()).value, 'open');
    let answer: (errno: number) => void = () => undefined;
    const asked = new Promise<void>((resolve) => {
      fixture.answer = ({ path }) => {
        if (path !== '/nested') return null;
        resolve();
        return new Promise((answered) => (answer = answered));
      };
    });
    const shown = fixture.show('thin/rev-2-delta');
    await asked;
    holder.stdin.write('go\n');
    assert.equal((await lines.next()).value, '10');
    answer(EIO);
    await shown;
    holder.stdin.end();
  },
);

test(
  'a revision whose root catalog is none is not told to be shown, and a restart goes on without it',
  { skip },
  async (t) => {
    const repository = await MadeRepository.make(t);
    const { maker } = repository;
    const { hash } = maker.publish(new SourceTree().file('/f', '1'));
    const client = await repository.mount(t);
    const none = maker.objects.put(Buffer.from('no catalog at all'), 'C', 'sha1');
    maker.writeManifest({ C: none.bytes.toString('hex'), B: '17', S: '2', T: '1700000002' });
    await assert.rejects(
      client.ask('POST', '/refresh') as Promise<unknown>,
      /root catalog .* cannot be read/,
    );
    const showsTheFirst = async (): Promise<void> => {
      const { revision, offline } = await client.status();
      assert.equal(revision, 1);
      assert.match(offline ?? '', /root catalog .* cannot be read/);
      assert.equal(((await client.ask('GET', '/revision')) as { root: string }).root, hash);
      assert.equal(await client.sh('cat f'), '1');
    };
    await showsTheFirst();
    await client.end();
    await client.launch();
    await showsTheFirst();

    maker.publish(new SourceTree().file('/f', '3'), { revision: 3 });
    await client.ask('POST', '/refresh');
    assert.equal((await client.status()).offline, null);
    assert.equal(await client.sh('cat f'), '3');
  },
);

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

/** More catalogs than connections are kept open to: of each but the last ones, nothing but its file is left. */
const CATALOGS = 60;
/** So that no read of its beginning brings its end into the kernel's cache. */
const PADDING = ' '.repeat(3_000_000);

function treeOf(revision: number): SourceTree {
  const tree = new SourceTree();
  for (let i = 0; i < CATALOGS; ++i) tree.file(`/d${i}/other`, `${i}`).nest(`/d${i}`);
  tree.file('/d0/changed', `start ${revision}${PADDING}end ${revision}`);
  tree.file('/d0/touched', 'same', { mtime: 1_700_000_000 + revision });
  return revision === 1 ? tree.file('/d0/old', 'old\n') : tree.file('/d0/new', 'new\n');
}

const LOOK = 'ls d0; head -c 7 d0/changed; echo; stat -c %Y d0/touched; cat d0/old d0/new 2>&1 || true';

async function textAt(file: FileHandle, position: number, length = 5): Promise<string> {
  const { bytesRead, buffer } = await file.read(Buffer.alloc(length), 0, length, position);
  return buffer.toString('latin1', 0, bytesRead);
}

/** Contents that are kept open for the next read. */
async function letGo(client: MountedClient): Promise<void> {
  const [object] = (await client.ask('GET', '/cache/list')) as { object: string }[];
  assert.ok(object);
  await client.ask('POST', `/cache/evict?object=${encodeURIComponent(object.object)}`);
}

for (const published of [true, false]) {
  const where = published ? 'and is still published' : 'and is not published any more';
  test(
    `a directory whose former catalog the cache lost, ${where}, shows the new revision; open files go on`,
    { skip },
    async (t) => {
      const repository = await MadeRepository.make(t);
      const before = repository.maker.publish(treeOf(1));
      const client = await repository.mount(t, { settings: { CVMFS_KCACHE_TIMEOUT: '3600' } });
      assert.equal(
        await client.sh(LOOK),
        'changed\nold\nother\ntouched\nstart 1\n1700000001\nold\ncat: d0/new: No such file or directory\n',
      );
      const held = await open(join(client.mountpoint, 'd0/changed'));
      t.after(() => held.close());
      assert.equal((await held.stat()).size, PADDING.length + 12);
      await client.sh(`for ((i = 0; i < ${CATALOGS}; ++i)); do cat d$i/other; done`);
      const former = before.nested.get('/d0');
      assert.ok(former);
      rmSync(join(client.cache, former.hash.slice(0, 2), `${former.hash.slice(2)}C`));

      const { maker } = repository;
      maker.publish(treeOf(2));
      if (!published) rmSync(maker.catalogFile(former));
      await client.ask('POST', '/refresh');

      const shown =
        'changed\nnew\nother\ntouched\nstart 2\n1700000002\ncat: d0/old: No such file or directory\nnew\n';
      assert.equal(await client.sh(LOOK), shown);
      await letGo(client);
      assert.equal(await textAt(held, PADDING.length + 7), 'end 1');
      assert.equal((await held.stat()).size, PADDING.length + 12);
      // Now the revision that it was opened in is not even the one before.
      maker.publish(treeOf(2).file('/more', ''));
      await client.ask('POST', '/refresh');
      await letGo(client);
      assert.equal(await textAt(held, PADDING.length + 7), 'end 1');
      assert.equal(await client.sh(LOOK), shown);
    },
  );
}
