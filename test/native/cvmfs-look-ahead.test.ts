/** Files that are read one after the other: those that come next are at hand before they are read. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';

import { MadeRepository } from '../cvmfs/made-repository.js';
import { SourceTree } from '../cvmfs/maker/source-tree.js';
import { signalled } from '../fakes/signalled.js';
import { waitFor } from '../system/process.js';
import { MountedFixture, cannotMount } from './cvmfs-fixture.js';

const skip = cannotMount;
const COUNT = 60;
const NAMES = Array.from({ length: COUNT }, (_, index) => `f${String(index).padStart(2, '0')}`);
const LARGE = 'f04';

/** Directories /a and /b of so many small files, and a large one among them. */
async function publish(t: TestContext): Promise<MadeRepository> {
  const made = await MadeRepository.make(t);
  const tree = new SourceTree();
  for (const directory of ['a', 'b']) {
    for (const name of NAMES)
      tree.file(`/${directory}/${name}`, Buffer.alloc(name === LARGE ? 600_000 : 100, directory + name));
  }
  made.maker.publish(tree);
  return made;
}

async function mounted(t: TestContext): Promise<MountedFixture> {
  return await MountedFixture.make(t, [(await publish(t)).maker.directory]);
}

/** Names in an order that programs read them in. */
const ORDERS = {
  'of the listing, as tar does': 'ls -U a',
  'of their names, as a shell does': 'ls a',
  'of their inodes, as cp does': 'ls -Ui a | sort -n | sed "s/.* //"',
};

for (const [order, list] of Object.entries(ORDERS)) {
  test(`the files that come next are told to who reads in the order ${order}`, { skip }, async (t) => {
    const fixture = await mounted(t);
    const names = (await fixture.sh(list)).trim().split('\n');
    const read = (from: number, to: number) =>
      fixture.sh(`cd a && cat ${names.slice(from, to).join(' ')} > /dev/null`);
    const small = (from: number, to: number) => names.slice(from, to).filter((name) => name !== LARGE);
    const toldUpTo = (last: string | undefined) =>
      waitFor(`${last} to be told`, async () => fixture.told.includes(`/a/${last}`) || undefined);

    await read(0, 5);
    await toldUpTo(small(5, 8).at(-1));
    const few = fixture.told.map((path) => names.indexOf(path.slice('/a/'.length)));
    assert.ok(
      few.every((index) => index >= 4 && index < 8),
      `as few as that: ${few.join(' ')}`,
    );
    await read(5, 30);
    await toldUpTo(small(30, 46).at(-1));
    assert.equal(new Set(fixture.told).size, fixture.told.length, 'none twice');
    assert.ok(!fixture.told.includes(`/a/${LARGE}`));
  });
}

test('nobody is told of a directory in which files are read here and there', { skip }, async (t) => {
  const fixture = await mounted(t);
  await fixture.sh('ls a b');
  await fixture.sh('cat a/f40 a/f03 a/f22 a/f57 a/f11 a/f33 a/f05 a/f48 a/f19 a/f27 > /dev/null');
  await fixture.sh('cat b/f00 b/f01 b/f02 b/f03 > /dev/null');
  await waitFor('files to be told', async () => fixture.told.length > 0 || undefined);
  assert.deepEqual(
    fixture.told.filter((path) => path.startsWith('/a')),
    [],
  );
});

test('files come from the server before they are read, several at once, each once', { skip }, async (t) => {
  const made = await publish(t);
  const client = await made.mount(t);
  const names = (await client.sh('ls -U a')).trim().split('\n');
  const several = signalled();
  let held = 0;
  made.server.misbehave = () => {
    held += 1;
    if (held >= 7) several.signal();
    // The first ones make known that somebody reads in order.
    return held <= 4 ? null : { until: several.promise };
  };
  await client.sh(`cd a && cat ${names.join(' ')} > /dev/null`);
  const asked = made.server.requests.map(({ path }) => path);
  assert.deepEqual(
    asked.filter((path, index) => asked.indexOf(path) !== index),
    [],
  );
  const { prefetch, statistics } = await client.status();
  assert.ok((prefetch?.objects ?? 0) > COUNT / 2, JSON.stringify(prefetch));
  assert.equal(statistics['failures'], 0);
});

test('where fetching ahead is off, a file is asked for when it is read', { skip }, async (t) => {
  const made = await publish(t);
  const client = await made.mount(t, { settings: { THINLAYER_PREFETCH: 'no' } });
  const [before] = [made.server.requests.length, await client.sh('ls -U a > /dev/null')];
  await client.sh('cd a && cat $(ls -U | head -5) > /dev/null');
  assert.equal(made.server.requests.length - before, 5);
  assert.equal((await client.status()).prefetch, null);
});
