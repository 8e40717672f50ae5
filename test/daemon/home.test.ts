/** Homes that were damaged, or made by Docker's own driver: what thinlayerd makes of them at its start. */

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';

import { pluginSocket, startPlugin } from '../system/drivers.js';
import type { Jail } from '../system/jail.js';
import { CACHE } from '../system/project.js';
import { manyFiles } from './archives.js';
import { GraphDriverClient } from './client.js';
import { cannotRun, daemonTest, startDaemon, withDaemon } from './daemon.js';
import type { Daemon } from './daemon.js';
import { makeImage } from './layers.js';
import { assertSound } from './soundness.js';

/** A record that no version of ours would write. */
const FROM_THE_FUTURE = '{"version":99}';

daemonTest('one damaged record is one failed layer, until it is mended or removed', async (daemon) => {
  for (const id of ['mended', 'removed', 'bystander']) await makeImage(daemon, id);
  const record = join(daemon.home, 'mended/layer.json');
  await daemon.kill9();
  await copyFile(record, `${daemon.home}.saved`);
  await writeFile(record, FROM_THE_FUTURE);
  await writeFile(join(daemon.home, 'removed/layer.json'), FROM_THE_FUTURE);
  await daemon.launch();

  assert.deepEqual(await states(daemon), { bystander: 'applied', mended: 'failed', removed: 'failed' });
  assert.match(await readFile(join(await daemon.client.get('bystander'), 'mark'), 'utf8'), /bystander/);
  await assert.rejects(daemon.client.get('mended'), /version 99.*thinlayer repair mended/);
  await assert.rejects(daemon.client.diff('mended'), /thinlayer repair mended/);
  await assert.rejects(daemon.client.create('child', 'mended'), /mended/);

  await assert.rejects(daemon.ask('POST', '/repair/mended'), /still broken/);
  await copyFile(`${daemon.home}.saved`, record);
  await daemon.ask('POST', '/repair/mended');
  await daemon.client.create('child', 'mended');
  await daemon.client.remove('removed');
  assert.deepEqual(await states(daemon), { bystander: 'applied', child: 'created', mended: 'applied' });
  await daemon.trashEmptied();
  await assertSound(daemon, new Map(['bystander', 'child', 'mended'].map((id) => [id, false])));
});

daemonTest(
  'a FIFO in the place of a small file is one failed layer, and holds up no daemon',
  async (daemon) => {
    for (const id of ['record', 'lower', 'draft', 'bystander']) await makeImage(daemon, id);
    await daemon.kill9();
    const at = (...names: string[]) => join(daemon.home, ...names);
    const gone = ['record/layer.json', 'lower/layer.json', 'draft/link'];
    for (const path of gone) await rm(at(path));
    await daemon.jail.run(['mkfifo', at('record/layer.json'), at('lower/lower'), at('draft/link.tmp')]);
    await daemon.launch();
    const answer = await Promise.race([states(daemon), delay(20_000, 'no answer', { ref: false })]);
    assert.deepEqual(answer, { bystander: 'applied', draft: 'failed', lower: 'failed', record: 'failed' });
    await assert.rejects(
      daemon.client.get('record'),
      /record\/layer.json is no regular file; put the file back/,
    );
    await assert.rejects(daemon.ask('POST', '/repair/lower'), /lower\/lower is no regular file/);
    for (const id of ['record', 'lower', 'draft']) await daemon.client.remove(id);
    assert.deepEqual(await states(daemon), { bystander: 'applied' });
  },
);

daemonTest('a layer on a failed one fails with it, and comes back with it', async (daemon) => {
  await makeImage(daemon, 'base');
  await makeImage(daemon, 'upper', 'base');
  const record = join(daemon.home, 'base/layer.json');
  const saved = await readFile(record);
  await daemon.kill9();
  await writeFile(record, FROM_THE_FUTURE);
  await daemon.launch();
  assert.deepEqual(await states(daemon), { base: 'failed', upper: 'failed' });
  await writeFile(record, saved);
  await daemon.ask('POST', '/repair/base');
  assert.deepEqual(await states(daemon), { base: 'applied', upper: 'applied' });
  await daemon.client.get('upper');
  await daemon.client.put('upper');
});

daemonTest('layers in a circle of parents are removed as others are, children first', async (daemon) => {
  await makeImage(daemon, 'base');
  await makeImage(daemon, 'middle', 'base');
  await makeImage(daemon, 'upper', 'middle');
  await makeImage(daemon, 'own-parent');
  await daemon.kill9();
  await setParent(daemon, 'base', 'middle');
  await setParent(daemon, 'own-parent', 'own-parent');
  await daemon.launch();
  const circle = (await daemon.layers()).map(({ cause }) => cause ?? '');
  assert.equal(circle.length, 4);
  for (const cause of circle) assert.match(cause, /a circle through .*; remove it and pull/);
  await assert.rejects(daemon.client.remove('middle'), /other layers are made on it/);
  for (const id of ['upper', 'middle', 'base', 'own-parent']) await daemon.client.remove(id);
  await daemon.trashEmptied();
  assert.deepEqual(await daemon.leftovers(), []);
});

async function setParent(daemon: Daemon, id: string, parent: string): Promise<void> {
  const path = join(daemon.home, id, 'layer.json');
  const record = JSON.parse(await readFile(path, 'utf8')) as object;
  await writeFile(path, JSON.stringify({ ...record, parent }));
}

daemonTest('small files and links that are gone or empty are made again from the record', async (daemon) => {
  await makeImage(daemon, 'base');
  await makeImage(daemon, 'upper', 'base');
  const small = ['base/link', 'base/committed', 'upper/link', 'upper/lower'].map((name) =>
    join(daemon.home, name),
  );
  const before = await Promise.all(small.map((path) => readFile(path, 'utf8')));
  const links = [before[0], before[2]].map((link) => join(daemon.home, 'l', link ?? ''));
  await daemon.kill9();
  for (const path of [...links, ...small.slice(0, 2)]) await rm(path);
  for (const path of small.slice(2)) await truncate(path);
  await symlink('../nobody/diff', join(daemon.home, 'l', 'A'.repeat(26)));
  await mkdir(join(daemon.home, 'half-made/diff'), { recursive: true });
  await mkdir(join(daemon.home, 'upper/merged'));
  await daemon.launch();

  assert.deepEqual(await states(daemon), { base: 'applied', upper: 'applied' });
  assert.deepEqual(await Promise.all(small.map((path) => readFile(path, 'utf8'))), before);
  await daemon.trashEmptied();
  await assertSound(
    daemon,
    new Map([
      ['base', false],
      ['upper', false],
    ]),
  );
  const merged = daemon.inside(await daemon.client.get('upper'));
  assert.equal(await readFile(join(merged, 'mark'), 'utf8'), 'upper');
});

/** Below the daemon's directory: where the home is, and the ways that lead there, each with the link that makes it. */
const MOVED = 'disk/home';
const WAYS = [
  { name: 'link', link: 'link', to: MOVED },
  { name: 'above/home', link: 'above', to: 'disk' },
];

for (const { name, link, to } of WAYS) {
  test(`a home that was moved is served through the symlink ${name}`, { skip: cannotRun }, async (t) => {
    const before = async (_: string, jail: Jail) => {
      await mkdir(join(jail.directory, MOVED), { recursive: true });
      await symlink(to, join(jail.directory, link));
    };
    await withDaemon(t, { home: MOVED, init: false, before }, (daemon) =>
      serveThrough(daemon, daemon.path(name)),
    );
  });
}

/** Recovery, uses and lock are the home's, whether it is named by `link` or by itself. */
async function serveThrough(daemon: Daemon, link: string): Promise<void> {
  await daemon.client.init(link);
  await makeImage(daemon, 'base');
  await daemon.client.createReadWrite('container', 'base');
  const merged = await daemon.client.get('container');
  assert.equal(merged, join(daemon.home, 'container/merged'));
  await writeFile(join(daemon.inside(merged), 'written'), 'through the link');
  await daemon.client.get('container');

  await daemon.kill9();
  await daemon.launch();
  assert.deepEqual(await states(daemon), { base: 'applied', container: 'mounted' });
  await daemon.client.put('container');
  assert.deepEqual(await daemon.mounts(), [merged]);
  await daemon.client.init(daemon.home);
  assert.equal(await daemon.client.get('container'), merged);
  await daemon.client.put('container');
  await daemon.client.init(link);
  await daemon.client.put('container');
  assert.deepEqual(await daemon.mounts(), []);
  assert.equal(await readFile(join(daemon.home, 'container/diff/written'), 'utf8'), 'through the link');
  for (const id of ['container', 'base']) await daemon.client.remove(id);
  await daemon.trashEmptied();
  assert.deepEqual(await daemon.leftovers(), []);
}

daemonTest('a file where a directory of the home belongs is told with what to do', async (daemon) => {
  const { client, home } = daemon;
  for (const name of ['l', '.trash', '.uses']) {
    const path = join(home, name);
    await rm(path, { recursive: true, force: true });
    await writeFile(path, '');
    await assert.rejects(client.init(home), new RegExp(`${path} is no directory; move it away`));
    await rm(path);
    await client.init(home);
  }
});

daemonTest('damaged numbers of uses are one use each, and keep no home from opening', async (daemon) => {
  await makeImage(daemon, 'base');
  for (const id of ['a', 'b']) {
    await daemon.client.createReadWrite(id, 'base');
    for (let use = 0; use < 2; ++use) await daemon.client.get(id);
  }
  await daemon.kill9();
  await writeFile(join(daemon.home, '.uses/a'), '-3');
  await rm(join(daemon.home, '.uses/b'));
  await mkdir(join(daemon.home, '.uses/b/below'), { recursive: true });
  await daemon.launch();
  assert.deepEqual(await states(daemon), { a: 'mounted', b: 'mounted', base: 'applied' });
  for (const id of ['a', 'b']) await daemon.client.put(id);
  assert.deepEqual(await daemon.mounts(), []);
});

daemonTest('mounts that a probe of a killed daemon left are no layers', async (daemon) => {
  await daemon.kill9();
  const left = join(daemon.home, '.probe');
  for (const name of ['lower', 'upper', 'work', 'merged']) await mkdir(join(left, name), { recursive: true });
  const options = `lowerdir=${left}/lower,upperdir=${left}/upper,workdir=${left}/work`;
  await daemon.jail.run(['mount', '-t', 'overlay', 'overlay', '-o', options, join(left, 'merged')]);
  await daemon.launch();
  assert.equal((await daemon.client.status())['Layers Mounted'], '0');
  assert.deepEqual(await daemon.mounts(), []);
  await assertSound(daemon, new Map());
});

daemonTest(
  'a home in the form of overlay2 is served: its layers are read, written on, and removed',
  async (daemon) => {
    assert.deepEqual(await states(daemon), {
      base: 'applied',
      container: 'created',
      'container-init': 'created',
    });
    await serveHomeOfOverlay2(daemon, 'base', 'container-init', 'container');
  },
  { before: makeOverlay2Home },
);

/** What Docker 20.10 leaves of an image and a stopped container. */
async function makeOverlay2Home(home: string): Promise<void> {
  const chain = ['base', 'container-init', 'container'];
  const link = (id: string) => id.toUpperCase().replace('-', '').padEnd(26, 'A').slice(0, 26);
  await mkdir(join(home, 'l'), { recursive: true });
  for (const [depth, id] of chain.entries()) {
    await mkdir(join(home, id, 'diff'), { recursive: true });
    await writeFile(join(home, id, 'link'), link(id));
    await symlink(`../${id}/diff`, join(home, 'l', link(id)));
    if (depth < 2) await writeFile(join(home, id, 'committed'), '');
    if (depth === 0) continue;
    await mkdir(join(home, id, 'work'));
    const lowers = chain
      .slice(0, depth)
      .reverse()
      .map((lower) => `l/${link(lower)}`);
    await writeFile(join(home, id, 'lower'), lowers.join(':'));
  }
  await writeFile(join(home, 'base/diff/mark'), 'base');
  await writeFile(join(home, 'container/diff/written'), 'before');
}

async function serveHomeOfOverlay2(
  daemon: Daemon,
  base: string,
  init: string,
  container: string,
): Promise<void> {
  const { client } = daemon;
  const merged = daemon.inside(await client.get(container));
  assert.equal(await readFile(join(merged, 'mark'), 'utf8'), 'base');
  assert.equal(await readFile(join(merged, 'written'), 'utf8'), 'before');
  await writeFile(join(merged, 'more'), 'after');
  const changes = (await client.changes(container, init)).map(({ Path, Kind }) => `${Kind} ${Path}`);
  assert.deepEqual(changes, ['1 /more', '1 /written']);
  await client.put(container);
  await client.create('new', base);
  await client.applyDiff('new', base, await client.diff(container, init));
  assert.equal(await readFile(join(daemon.home, 'new/diff/more'), 'utf8'), 'after');
  for (const id of ['new', container, init, base]) await client.remove(id);
  await daemon.trashEmptied();
  assert.deepEqual(await daemon.leftovers(), []);
}

const noPeer = existsSync(join(CACHE, 'bin/o2serve'))
  ? false
  : "SKIPPED: moby's overlay2 is not built here (test/setup/moby.sh)";

test("a home that moby's overlay2 made is served, and moby can read it again", { skip: noPeer }, async () => {
  await using daemon = await startDaemon({ init: false });
  await withMoby(daemon, async (moby) => {
    await moby.create('base');
    await moby.applyDiff('base', '', await manyFiles('base', 200));
    await moby.createReadWrite('container-init', 'base');
    await moby.createReadWrite('container', 'container-init');
    const merged = await moby.get('container');
    await writeFile(join(daemon.inside(merged), 'written'), 'before');
    await moby.put('container');
  });
  await daemon.client.init(daemon.home);
  await makeImage(daemon, 'ours', 'base');
  await withMoby(daemon, async (moby) => {
    const merged = await moby.get('ours');
    assert.equal(await readFile(join(daemon.inside(merged), 'mark'), 'utf8'), 'ours');
    await moby.put('ours');
    await moby.remove('ours');
  });
  await serveHomeOfOverlay2(daemon, 'base', 'container-init', 'container');
});

/** With moby's overlay2 on the daemon's home, in the daemon's place; then that one serves again. */
async function withMoby(daemon: Daemon, body: (moby: GraphDriverClient) => Promise<void>): Promise<void> {
  await daemon.stop();
  const process = await startPlugin(daemon.jail, 'o2serve');
  const moby = new GraphDriverClient(pluginSocket(daemon.jail));
  await moby.init(daemon.home);
  await body(moby);
  moby.close();
  await process.stop();
  await daemon.launch();
}

async function states(daemon: Daemon): Promise<Record<string, string>> {
  const pairs = (await daemon.layers()).map(({ id, state }): [string, string] => [id, state]);
  return Object.fromEntries(pairs.sort());
}
