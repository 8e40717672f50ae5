/** What an image reads at its start is remembered, and fetched ahead at the next: on the real thinlayerd. */

import assert from 'node:assert/strict';
import { readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';

import { ask } from '../../src/cli/client.js';
import type { RepositoryReport } from '../../src/core/repository.js';
import { askClient } from '../../src/cvmfs/client-socket.js';
import { FQRN, thinDescriptor } from '../cvmfs/thin-repository.js';
import { check, waitFor } from '../system/process.js';
import { archiveOf } from './archives.js';
import { cannotRun } from './daemon.js';
import type { Daemon } from './daemon.js';
import { startThin } from './thin-daemon.js';

const READ = ['app/run.sh', 'app/data.txt', 'opt/removed-dir/again'];
/** Of the image's three layers: read to find the files. */
const CATALOGS = 3;
const OBJECTS = READ.length + CATALOGS;

interface Lab {
  readonly daemon: Daemon;
  readonly cache: string;
  /** Paths that the server was asked for, in order. */
  requests(): Promise<string[]>;
}

async function withThin(options: readonly string[], body: (lab: Lab) => Promise<void>): Promise<void> {
  await using started = await startThin(options);
  const { daemon, config } = started;
  await daemon.client.create('image');
  await daemon.client.applyDiff(
    'image',
    '',
    await archiveOf([{ name: 'thin.json', contents: await thinDescriptor() }]),
  );
  const requests = async () => {
    const lines = (await readFile(daemon.path('server.log'), 'utf8')).trimEnd().split('\n');
    return lines.map((line) => line.split(' ')[0] ?? '');
  };
  await body({ daemon, cache: join(config, 'cache/thinlayer', FQRN), requests });
}

/** A container reads these files, and ends. What the kernel keeps of them goes: the next container reads them anew. */
async function start({ daemon }: Lab, id: string, paths: readonly string[]): Promise<void> {
  await daemon.client.createReadWrite(id, 'image');
  const merged = daemon.inside(await daemon.client.get(id));
  for (const path of paths) {
    await readFile(join(merged, path));
    await check('dd', [`if=${join(merged, path)}`, 'iflag=nocache', 'count=0', 'status=none']);
  }
  await daemon.client.put(id);
  await daemon.client.remove(id);
}

async function profiles({ cache }: Lab): Promise<string[]> {
  return await readdir(join(cache, 'profiles')).catch(() => []);
}

/** The text of the only one, when it has so many objects. */
async function profileOf(lab: Lab, objects: number): Promise<string> {
  return await waitFor(`a profile of ${objects} objects`, async () => {
    const [name, ...more] = await profiles(lab);
    if (name === undefined) return undefined;
    assert.deepEqual(more, []);
    const text = await readFile(join(lab.cache, 'profiles', name), 'latin1');
    return text.split('\n').length - 2 === objects ? text : undefined;
  });
}

/** Of all objects the cache keeps those that the mount cannot do without. */
async function emptyCache(lab: Lab, profile: string): Promise<void> {
  for (const line of profile.split('\n').slice(1, -1)) {
    await rm(join(lab.cache, line.split(' ')[0] ?? ''), { force: true });
  }
}

async function clientStatus({ daemon }: Lab): Promise<{ prefetch: Record<string, number> | null }> {
  const directory = daemon.inside('/run/thinlayer/cvmfs');
  const socket = (await readdir(directory)).find((name) => name.endsWith('.sock')) ?? '';
  const status = await askClient(join(directory, socket), 'GET', '/status');
  return status as { prefetch: Record<string, number> | null };
}

void test(
  'the second start fetches ahead what the first read, and adds what it reads besides',
  {
    skip: cannotRun,
  },
  () =>
    withThin([], async (lab) => {
      await start(lab, 'first', READ);
      const profile = await profileOf(lab, OBJECTS);
      const objects = profile.split('\n').slice(1, -1);
      const isFile = (path: string) => !path.endsWith('C');
      assert.deepEqual(
        objects.map((line) => `/data/${line.split(' ')[0]}`).filter(isFile),
        (await lab.requests()).filter(isFile).slice(-READ.length),
        'in the order in which they were read',
      );

      await emptyCache(lab, profile);
      const before = (await lab.requests()).length;
      await start(lab, 'second', []);
      await waitFor('the profile to be fetched', async () => {
        return (await lab.requests()).length === before + OBJECTS || undefined;
      });
      await start(lab, 'third', [...READ, 'etc/issue']);
      assert.equal((await lab.requests()).length, before + OBJECTS + 1, 'nothing was fetched twice');
      await profileOf(lab, OBJECTS + 1);
      await waitFor('the counters', async () => {
        const { prefetch } = await clientStatus(lab);
        return (prefetch?.['objects'] === OBJECTS && prefetch['hits'] === OBJECTS) || undefined;
      });
      assert.equal((await clientStatus(lab)).prefetch?.['wastedBytes'], 0);
      const [told, ...more] = (await ask(lab.daemon.control, 'GET', '/repositories')) as RepositoryReport[];
      assert.deepEqual([told?.repository, told?.state, more], [FQRN, 'mounted', []]);
      const { recorded, objects: fetched, hits } = told?.facts?.prefetch ?? assert.fail();
      assert.deepEqual([recorded, fetched, hits], [2, OBJECTS, OBJECTS]);
    }),
);

void test('a profile that is none is ignored with a warning, and replaced', { skip: cannotRun }, () =>
  withThin([], async (lab) => {
    await start(lab, 'first', READ);
    const profile = await profileOf(lab, OBJECTS);
    const [name = ''] = await profiles(lab);
    await writeFile(join(lab.cache, 'profiles', name), 'thinlayer-profile 1\n../../etc/passwd 12 plain\n');
    await emptyCache(lab, profile);
    await start(lab, 'second', READ);
    await profileOf(lab, OBJECTS);
    const log = await readFile(join(lab.daemon.home, `cvmfs/cvmfs-${FQRN}.log`), 'utf8');
    assert.match(log, /profile .* is of no use: not a profile: line 2: .* it is ignored/);
  }),
);

void test('cvmfs.prefetch=off remembers nothing', { skip: cannotRun }, () =>
  withThin(['cvmfs.prefetch=off'], async (lab) => {
    await start(lab, 'first', READ);
    await start(lab, 'second', READ);
    assert.deepEqual(await profiles(lab), []);
  }),
);
