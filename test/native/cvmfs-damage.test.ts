/** What became of the cache's files after they were verified: power cuts, disks that err. And what only looks like it. */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { closeSync, mkdirSync, openSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { truncateSync, writeFileSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { deflateSync, inflateSync } from 'node:zlib';

import { MadeRepository } from '../cvmfs/made-repository.js';
import { SourceTree } from '../cvmfs/maker/source-tree.js';
import { MountedClient } from '../cvmfs/mounted-client.js';
import { serverOf } from '../unit/cvmfs/client.js';
import { cannotMount, MountedFixture, poisonCatalog, run } from './cvmfs-fixture.js';

const skip = cannotMount;
const SHOW = 'cat README text/nonl; find nested | sort';
/** The nested catalog of the thin fixture, and where it lies. */
const NESTED = 'd5/efcc1c06912e2eae8e090109b227566d07069eC';

function objectsIn(cache: string): string[] {
  return (readdirSync(cache, { recursive: true }) as string[]).filter((name) => /^[0-9a-f]{2}\/./.test(name));
}

async function killed(client: MountedClient): Promise<void> {
  await client.end('SIGKILL');
  await run('umount', '-l', client.mountpoint);
  client.log = '';
}

/** All but the first bytes, as a disk may have it after a power cut. */
function overwrite(file: string, from: number): void {
  const descriptor = openSync(file, 'r+');
  writeSync(descriptor, Buffer.alloc(statSync(file).size - from, 0xff), 0, undefined, from);
  closeSync(descriptor);
}

test('what a power cut left of objects and catalogs is fetched anew', { skip }, async (t) => {
  const server = await serverOf(t, 'thin/rev-1');
  const client = await MountedClient.start(t, { servers: [server.url] });
  const whole = await client.sh(SHOW);
  await killed(client);
  for (const object of objectsIn(client.cache)) truncateSync(join(client.cache, object), 10);
  await client.launch();
  assert.match(client.log, /the root catalog is fetched anew: it was damaged in the cache/);
  assert.equal(await client.sh(SHOW), whole);
  assert.match(client.log, /\/README: \S+ was damaged in the cache, and is fetched anew/);
});

test('so is a catalog of the right size whose damage only a lookup meets', { skip }, async (t) => {
  const server = await serverOf(t, 'thin/rev-1');
  const client = await MountedClient.start(t, { servers: [server.url] });
  const whole = await client.sh(SHOW);
  await killed(client);
  overwrite(join(client.cache, NESTED), 4096);
  await client.launch();
  assert.equal(await client.sh(SHOW), whole);
  assert.match(client.log, /\/nested: \S+ was damaged in the cache/);
  assert.equal(server.count(`data/${NESTED}`), 2);
});

test('a second damage in the life of a client is mended as the first was', { skip }, async (t) => {
  const fixture = await MountedFixture.make(t, ['thin/rev-1'], { kernelCacheSeconds: 0 });
  const whole = await fixture.sh(SHOW);
  for (let round = 1; round <= 2; ++round) {
    for (const object of objectsIn(fixture.cache)) truncateSync(join(fixture.cache, object), 10);
    await fixture.mount.forgetContents();
    assert.equal(await fixture.sh(SHOW), whole);
    assert.ok(fixture.misses.filter(({ damaged }) => damaged).length >= 2 * round, `round ${round}`);
  }
});

for (const settings of [
  { CVMFS_REPOSITORY_TAG: 'v1' },
  { CVMFS_REPOSITORY_DATE: '2023-11-14T22:13:21Z' },
  { CVMFS_ROOT_HASH: 'of v1' },
]) {
  test(
    `a damaged root catalog is fetched anew with ${Object.keys(settings).join()} too`,
    { skip },
    async (t) => {
      const made = await MadeRepository.make(t);
      const { hash } = made.maker.publish(new SourceTree().file('/revision', '1'), { tag: 'v1' });
      made.maker.publish(new SourceTree().file('/revision', '2'));
      if (settings.CVMFS_ROOT_HASH !== undefined) settings.CVMFS_ROOT_HASH = hash;
      const client = await made.mount(t, { settings });
      const root = join(client.cache, (await client.status()).root);
      for (const damage of [() => truncateSync(root, 10), () => overwrite(root, 4096), () => rmSync(root)]) {
        await killed(client);
        damage();
        await client.launch();
        assert.equal(await client.sh('cat revision'), '1');
      }
    },
  );
}

test(
  "a row that lies is the publisher's: an error that says so, and its catalog stays",
  { skip },
  async (t) => {
    const made = await MadeRepository.make(t);
    const revision = made.maker.publish(new SourceTree().file('/good', 'good').file('/bad', 'bad'));
    const published = join(made.maker.directory, 'published');
    writeFileSync(published, inflateSync(readFileSync(made.maker.catalogFile(revision))));
    await poisonCatalog(
      published,
      `${published}.bad`,
      `UPDATE catalog SET size = 9, mtimens = -1 WHERE name = 'bad'`,
    );
    const stored = deflateSync(readFileSync(`${published}.bad`));
    const hash = createHash('sha1').update(stored).digest('hex');
    const file = made.maker.catalogFile({ ...revision, hash });
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, stored);
    made.maker.writeManifest({ C: hash, B: undefined });

    const client = await made.mount(t);
    for (let n = 0; n < 5; ++n)
      assert.equal(await client.sh('stat bad 2>&1 | grep -c "Input/output error"'), '1\n');
    assert.equal(await client.sh('cat good'), 'good');
    assert.match(client.log, /cannot be read: .* is as the server has it, .*its publisher has to mend it/);
    assert.equal(made.server.requests.filter(({ path }) => path.endsWith(`${hash.slice(2)}C`)).length, 1);
  },
);

test('cache check takes back what the kernel has of a damaged object', { skip }, async (t) => {
  const server = await serverOf(t, 'thin/rev-1');
  const client = await MountedClient.start(t, { servers: [server.url] });
  const whole = await client.sh('cat README');
  const hash = await client.sh('getfattr --only-values -n user.hash README');
  const object = join(client.cache, hash.slice(0, 2), hash.slice(2));
  await killed(client);
  overwrite(object, 0);
  await client.launch();
  assert.notEqual(await client.sh('cat README'), whole);
  const { damaged } = (await client.ask('POST', '/cache/check')) as { damaged: string[] };
  assert.equal(damaged.length, 1);
  assert.equal(await client.sh('cat README'), whole);
});
