/** Docker runs, commits, builds, copies, saves and loads thin images, whose layers stay in a CVMFS repository. */

import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import type { TestContext } from 'node:test';

import { FQRN, thinDescriptor } from '../cvmfs/thin-repository.js';
import { importBusybox } from './images.js';
import type { Lab } from './lab.js';
import { importThin, requestsOf, startThinLab } from './thin-lab.js';

test('thin images', async (t) => {
  await using lab = await startThinLab(t);
  await importThin(lab, 'thin', await thinDescriptor());

  await t.test('a program of a lower layer runs', async () => {
    const said = await lab.docker('run', '--rm', 'thin', '/app/run.sh');
    assert.match(said, /hello from layer two/);
  });
  await t.test('what is committed on it lies above the thin layers', async () => {
    await lab.docker('run', '--name', 'changed', 'thin', '/bin/sh', '-c', 'echo mine > /app/mine');
    await lab.docker('commit', 'changed', 'committed');
    assert.equal(await lab.docker('run', '--rm', 'committed', '/bin/sh', '-c', 'cat /app/mine'), 'mine');
    await lab.docker('rm', 'changed');
  });
  for (const buildkit of ['0', '1']) {
    await t.test(`an image is built on it with DOCKER_BUILDKIT=${buildkit}`, () => checkBuild(lab, buildkit));
    await t.test(`an image is built of a descriptor with DOCKER_BUILDKIT=${buildkit}`, () =>
      checkDescriptor(lab, buildkit),
    );
  }
  await t.test('files are copied out and in, exec sees them, diff tells the changes alone', () =>
    checkCopy(lab),
  );
  await t.test('saved, they run on another daemon', () => checkSave(t, lab));
});

async function checkBuild(lab: Lab, buildkit: string): Promise<void> {
  const context = lab.path(`context-${buildkit}`);
  await mkdir(context);
  await writeFile(`${context}/copied`, 'copied\n');
  const lines = ['FROM thin', 'COPY copied /app/copied', 'RUN ["/bin/sh", "-c", "rm /app/data.txt"]'];
  await writeFile(`${context}/Dockerfile`, `${lines.join('\n')}\n`);
  const name = `built${buildkit}`;
  const environment = { env: { DOCKER_BUILDKIT: buildkit } };
  await lab.dockerWith(environment, 'build', '-q', '--network=none', '-t', name, context);
  const script = 'cat /app/copied; [ -e /app/data.txt ] || echo deleted; /app/run.sh';
  assert.match(await lab.docker('run', '--rm', name, '/bin/sh', '-c', script), /^copied\ndeleted\n[^]*hello/);
}

/** BuildKit writes the file through a mount, the classic builder applies an archive. */
async function checkDescriptor(lab: Lab, buildkit: string): Promise<void> {
  const context = lab.path(`descriptor-${buildkit}`);
  await mkdir(context);
  await writeFile(`${context}/thin.json`, await thinDescriptor());
  await writeFile(`${context}/Dockerfile`, 'FROM busybox\nCOPY thin.json /thin.json\n');
  if (buildkit === '0') await importBusybox(lab);
  const name = `described${buildkit}`;
  await lab.dockerWith({ env: { DOCKER_BUILDKIT: buildkit } }, 'build', '-q', '-t', name, context);
  const script = '[ -e /thin.json ] || echo hidden; /app/run.sh';
  const isThin = async () =>
    assert.match(await lab.docker('run', '--rm', name, '/bin/sh', '-c', script), /^hidden\n[^]*hello/);
  await isThin();
  await lab.restartPlugin();
  await isThin();
}

async function checkCopy(lab: Lab): Promise<void> {
  await lab.docker('run', '-d', '--name', 'box', 'thin', '/bin/sh', '-c', 'sleep 600');
  await lab.docker('cp', 'box:/app/run.sh', lab.path('run.sh'));
  const script = await readFile(lab.path('run.sh'), 'utf8');
  assert.match(script, /^#!/);
  await lab.docker('cp', lab.path('run.sh'), 'box:/app/again.sh');
  assert.equal(`${await lab.docker('exec', 'box', '/bin/cat', '/app/again.sh')}\n`, script);
  await lab.docker('exec', 'box', '/bin/sh', '-c', 'rm /app/data.txt; echo >> /app/run.sh; mkdir /made');
  await lab.docker('kill', 'box');
  const changes = (await lab.docker('diff', 'box')).split('\n').sort();
  assert.deepEqual(changes, ['A /app/again.sh', 'A /made', 'C /app', 'C /app/run.sh', 'D /app/data.txt']);
  await lab.docker('rm', 'box');
}

async function checkSave(t: TestContext, lab: Lab): Promise<void> {
  const archive = lab.path('saved.tar');
  await lab.docker('save', '-o', archive, 'thin', 'committed');
  assert.ok((await readFile(archive)).length < 100_000, 'only descriptors and changes travel');
  await using other = await startThinLab(t);
  await other.docker('load', '-q', '-i', archive);
  const script = 'cat /app/mine; /app/run.sh';
  assert.match(await other.docker('run', '--rm', 'committed', '/bin/sh', '-c', script), /^mine\n[^]*hello/);
  assert.match(await other.docker('run', '--rm', 'thin', '/app/run.sh'), /hello from layer two/);
}

const CONTAINERS = 32;

/** Eight images: the first one, two or three layers, in two places of the repository, and to be found by their digests. */
async function importVariants(lab: Lab): Promise<string[]> {
  const [plain, ducc] = (await Promise.all([thinDescriptor(), thinDescriptor('thin-ducc.json')])).map(
    (text) => (JSON.parse(text.toString()) as { layers: { digest: string }[] }).layers,
  );
  const named = (plain ?? []).map(({ digest }) => ({ digest }));
  const variants = [...prefixes(plain ?? []), ...prefixes(ducc ?? []), ...prefixes(named).slice(1)];
  const names = variants.map((_, i) => `thin${i}`);
  for (const [i, layers] of variants.entries()) {
    await importThin(lab, `thin${i}`, JSON.stringify({ version: '1.0', layers }));
  }
  return names;
}

function prefixes<T>(layers: readonly T[]): T[][] {
  return layers.map((_, i) => layers.slice(0, i + 1));
}

test('many containers of several thin images start at once on a cold cache: each object is fetched once', async (t) => {
  await using lab = await startThinLab(t, { storageOpts: [`cvmfs.layers=${FQRN}`] });
  const images = await importVariants(lab);
  const runs = Array.from({ length: CONTAINERS }, (_, i) =>
    lab.docker(
      'run',
      '--rm',
      images[i % images.length] ?? '',
      '/bin/sh',
      '-c',
      'find / -xdev -type f | wc -l',
    ),
  );
  const counts = await Promise.all(runs);
  assert.ok(counts.every((count) => Number(count) > 0));
  const byImage = images.map((_, i) => new Set(counts.filter((__, j) => j % images.length === i)));
  assert.deepEqual(
    byImage.map(({ size }) => size),
    images.map(() => 1),
  );
  const objects = (await requestsOf(lab)).filter((path) => path.startsWith('/data/'));
  assert.ok(objects.length > 3);
  assert.deepEqual(
    objects.filter((path, at) => objects.indexOf(path) !== at),
    [],
  );
});
