/** Thin images on the real thinlayerd: their layers come file by file from a signed repository, by the embedded client. */

import assert from 'node:assert/strict';
import { readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';

import type { RepositoryReport } from '../../src/core/repository.js';
import { FQRN, thinDescriptor } from '../cvmfs/thin-repository.js';
import { waitFor } from '../system/process.js';
import { archiveOf } from './archives.js';
import { cannotRun } from './daemon.js';
import type { Daemon } from './daemon.js';
import { startThin } from './thin-daemon.js';

interface Thin {
  readonly daemon: Daemon;
  /** How many the server has answered. */
  requests(): Promise<number>;
  /** An archive whose only file is that descriptor. */
  descriptor(name?: string): Promise<Buffer>;
}

/** thinlayerd, its repository configured, its server up. */
async function withThin(body: (thin: Thin) => Promise<void>): Promise<void> {
  await using started = await startThin();
  const { daemon } = started;
  const requests = async () => (await readFile(daemon.path('server.log'), 'utf8')).split('\n').length - 1;
  const descriptor = async (name?: string) =>
    archiveOf([{ name: 'thin.json', contents: await thinDescriptor(name) }]);
  await body({ daemon, requests, descriptor });
}

function thinTest(name: string, body: (thin: Thin) => Promise<void>): void {
  void test(name, { skip: cannotRun }, () => withThin(body));
}

for (const form of ['thin.json', 'thin-ducc.json']) {
  thinTest(`${form}: a container stands on the layers in CVMFS, and fetches what it reads`, async (thin) => {
    const { daemon, requests } = thin;
    const { client } = daemon;
    await client.create('image');
    await client.applyDiff('image', '', await thin.descriptor(form));
    assert.deepEqual(await readdir(daemon.inside(await client.get('image'))), ['thin.json']);
    await client.createReadWrite('container', 'image');
    const merged = daemon.inside(await client.get('container'));
    const before = await requests();
    assert.match(await readFile(join(merged, 'app/run.sh'), 'utf8'), /^#!/);
    assert.ok((await requests()) > before, 'the file was fetched when it was read');
    const names = await readdir(merged);
    assert.ok(!names.some((name) => name.startsWith('.wh.') || name === 'thin.json'), names.join(' '));
    await writeFile(join(merged, 'written'), 'by the container');
    assert.deepEqual(await client.changes('container', 'image'), [{ Path: '/written', Kind: 1 }]);
    await client.put('container');
    for (const id of ['container', 'image']) await client.remove(id);
  });
}

thinTest(
  'a killed daemon finds the repository mounted, and its containers read on',
  async ({ daemon, descriptor }) => {
    await daemon.client.create('image');
    await daemon.client.applyDiff('image', '', await descriptor());
    await daemon.client.createReadWrite('container', 'image');
    const merged = await daemon.client.get('container');
    await daemon.kill9();
    assert.match(await readFile(join(daemon.inside(merged), 'app/run.sh'), 'utf8'), /^#!/);
    await daemon.launch();
    await daemon.client.createReadWrite('other', 'image');
    const other = await daemon.client.get('other');
    assert.match(await readFile(join(daemon.inside(other), 'app/run.sh'), 'utf8'), /^#!/);
  },
);

/** Mount points of repositories, in the jail. */
async function mountedRepositories({ jail, home }: Daemon): Promise<string[]> {
  const points = (await jail.mounts()).filter((point) => point.startsWith(`${home}/cvmfs/`));
  return points.map((point) => point.slice(`${home}/cvmfs/`.length));
}

/** Processes of the client in the jail. */
function clients({ jail }: Daemon): Promise<string> {
  return jail.run(['sh', '-c', 'pgrep -f [t]hinlayer-cvmfs.js || [ $? = 1 ]']);
}

thinTest(
  'a repository in use survives the end of the daemon, one that nobody uses does not',
  async ({ daemon, descriptor }) => {
    await daemon.client.create('image');
    await daemon.client.applyDiff('image', '', await descriptor());
    await daemon.client.createReadWrite('container', 'image');
    const merged = daemon.inside(await daemon.client.get('container'));
    await daemon.restart();
    assert.deepEqual(await mountedRepositories(daemon), [FQRN]);
    assert.match(await readFile(join(merged, 'app/run.sh'), 'utf8'), /^#!/);

    await daemon.client.put('container');
    assert.deepEqual(await mountedRepositories(daemon), [FQRN], 'for a while, for the next container');
    await daemon.stop();
    assert.deepEqual([await mountedRepositories(daemon), await clients(daemon)], [[], '']);

    await daemon.launch();
    await daemon.client.get('container');
    await daemon.client.put('container');
    await daemon.client.cleanup();
    assert.deepEqual([await mountedRepositories(daemon), await clients(daemon)], [[], '']);

    await daemon.client.get('container');
    await daemon.client.put('container');
    await daemon.kill9();
    assert.deepEqual(await mountedRepositories(daemon), [FQRN]);
    await daemon.launch();
    await waitFor('the unmount of what was left', async () => (await clients(daemon)) === '' || undefined);
    assert.deepEqual(await mountedRepositories(daemon), []);
  },
);

thinTest(
  'a client that hangs is told of, with its process and what to do',
  async ({ daemon, descriptor }) => {
    const { client } = daemon;
    await client.create('image');
    await client.applyDiff('image', '', await descriptor());
    for (const id of ['running', 'waiting']) await client.createReadWrite(id, 'image');
    await client.get('running');
    const pid = (await clients(daemon)).trim();
    await daemon.jail.run(['kill', '-STOP', pid]);
    const merged = client.get('waiting');

    const asked = performance.now();
    const [{ state, cause } = {}] = (await daemon.ask('GET', '/repositories')) as RepositoryReport[];
    assert.ok(performance.now() - asked < 20_000);
    assert.equal(state, 'mounted');
    assert.match(
      cause ?? '',
      new RegExp(`process ${pid}\\) does not answer within 5 s; .*kill -9 ${pid}\\)`),
    );
    const told = await waitFor('the cause', async () => {
      const layer = (await daemon.layers()).find(({ id }) => id === 'waiting');
      return layer?.cause ?? undefined;
    });
    assert.match(told, new RegExp(`^layer waiting has waited for 20 s .*\\(process ${pid}\\)`));
    assert.ok((await daemon.logTail()).includes(told));

    await daemon.jail.run(['kill', '-9', pid]);
    assert.match(await readFile(join(daemon.inside(await merged), 'app/run.sh'), 'utf8'), /^#!/);
  },
);

thinTest('what cannot be is told with the way out, and nothing is left', async ({ daemon }) => {
  const { client } = daemon;
  const apply = async (id: string, descriptor: unknown) => {
    await client.create(id);
    const contents = typeof descriptor === 'string' ? descriptor : JSON.stringify(descriptor);
    await client.applyDiff(id, '', await archiveOf([{ name: 'thin.json', contents }]));
  };
  const layer = (repository: string) => ({
    version: '1.0',
    layers: [{ digest: 'ab'.repeat(32), url: `cvmfs://${repository}/layers/nothing` }],
  });
  await assert.rejects(apply('bad', '{'), /thin descriptor .* is not valid/);
  await assert.rejects(apply('climbs', layer("x';touch pwned;'")), /is not the name of a repository/);

  await apply('unpublished', layer(FQRN));
  await client.createReadWrite('a', 'unpublished');
  await assert.rejects(
    client.get('a'),
    /not in the repository thin\.example\.org at revision 7 .*published later/,
  );

  await apply('unconfigured', layer('nowhere.example.org'));
  await client.createReadWrite('b', 'unconfigured');
  await assert.rejects(client.get('b'), /nowhere\.example\.org is not configured.*looked for/);
  assert.deepEqual(await daemon.mounts(), []);
});

thinTest(
  'a thin image of no layers is an image without files, and touches no repository',
  async ({ daemon }) => {
    const { client } = daemon;
    await client.create('scratch');
    const contents = JSON.stringify({ version: '0.1', layers: [] });
    await client.applyDiff('scratch', '', await archiveOf([{ name: 'thin.json', contents }]));
    await client.createReadWrite('container', 'scratch');
    const files = daemon.inside(await client.get('container'));
    assert.deepEqual(await readdir(files), []);
    await writeFile(join(files, 'written'), 'by the container');
    assert.deepEqual(await client.changes('container', 'scratch'), [{ Path: '/written', Kind: 1 }]);
    assert.deepEqual(await mountedRepositories(daemon), []);
    // A second use while there is one, as `docker cp` has it.
    assert.equal(daemon.inside(await client.get('container')), files);
    for (let use = 0; use < 2; use++) await client.put('container');
    for (const id of ['container', 'scratch']) await client.remove(id);
  },
);
