/** All sources of repositories, with real mounts of a signed repository. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmod, cp, mkdir, open, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';

import type { RepositorySource } from '../../src/core/repository.js';
import { cvmfs2Source } from '../../src/cvmfs/cvmfs2-source.js';
import type { Cvmfs2Options } from '../../src/cvmfs/cvmfs2-source.js';
import { findProgram } from '../../src/cvmfs/cvmfs2-command.js';
import { externalSource } from '../../src/cvmfs/external.js';
import { endsWithin } from '../../src/cvmfs/process-end.js';
import { talk } from '../../src/cvmfs/talk-socket.js';
import { loadAddon } from '../../src/host/addon.js';
import type { PlaceFunctions } from '../../src/host/addon.js';
import { repositorySourceSuite } from '../conformance/repository-source.js';
import type { SourceLab } from '../conformance/repository-source.js';
import { configureThin, FQRN } from '../cvmfs/thin-repository.js';
import { FIXTURES } from '../pure/cvmfs/fixtures.js';
import { check } from '../system/process.js';
import { PROJECT_ROOT } from '../system/project.js';
import { RepositoryServer } from '../unit/cvmfs/server.js';
import { cannotMount } from './cvmfs-fixture.js';
import { mountsBelow, ScratchHome } from './scratch-home.js';
import { embedded, labOf, placesBelow, placesOf, serverOf } from './source-lab.js';
import type { Change, Places } from './source-lab.js';

/** All its files belong to the user 990, who published it. */
const DUCC_LAYER = '.layers/4a/4a6b0ecbd97d19835848e6e3b068000d63d2bd57ce0384462c7862a53d6d181d/layerfs';
const LAYER = 'layers/4a6b0ecbd97d19835848e6e3b068000d63d2bd57ce0384462c7862a53d6d181d';

/** A program `cvmfs2`, as PATH would have it. */
async function standIn(base: string): Promise<string> {
  const program = join(base, 'cvmfs2');
  const script = join(PROJECT_ROOT, 'dist/test/cvmfs/stand-in-cvmfs2.js');
  await writeFile(program, `#!/bin/sh\nexec '${process.execPath}' '${script}' "$@"\n`);
  await chmod(program, 0o755);
  return program;
}

const cvmfs2 = (program: string, change: Partial<Cvmfs2Options> = {}) =>
  function make(places: Places): RepositorySource {
    return cvmfs2Source({
      ...places,
      program: program === '' ? join(places.base, 'cvmfs2') : program,
      ...change,
    });
  };

async function standInLab(
  t: TestContext,
  change: Change = {},
  options: Partial<Cvmfs2Options> = {},
): Promise<SourceLab> {
  const lab = await labOf(t, cvmfs2('', options), change);
  await standIn(join(lab.directory, '..'));
  return lab;
}

/** Of the stand-in; the configuration is that of `configureThin`. */
function talkSocket({ directory }: SourceLab): string {
  return join(directory, '../etc/cache', FQRN, `cvmfs_io.${FQRN}`);
}

const externalOn = (directory: string): RepositorySource =>
  externalSource({ lookAt: (...place) => loadAddon<PlaceFunctions>().lookAtRepository(...place), directory });

/** The host's mount is a bind mount of a plain tree; to publish is to write into it. */
async function externalLab(t: TestContext): Promise<SourceLab> {
  const home = await ScratchHome.make(t, 'h');
  const [directory, tree] = [join(home.path, 'cvmfs'), join(home.path, 'tree')];
  await mkdir(join(directory, FQRN), { recursive: true });
  await mkdir(join(tree, LAYER, 'app'), { recursive: true });
  await writeFile(join(tree, LAYER, 'app/run.sh'), '#!/bin/sh\n');
  await check('mount', ['--bind', tree, join(directory, FQRN)]);
  const newer = join(tree, 'layers/fc51b0c41344beebdbf93b6a9756ff7fd6852abec3a979d433bebe0cc7f07d16');
  return {
    repository: FQRN,
    directory,
    ours: false,
    source: () => externalOn(directory),
    publish: () => cp(join(tree, LAYER), newer, { recursive: true }),
  };
}

const real = findProgram('cvmfs2');
const cannotRunReal =
  cannotMount ||
  (real === null
    ? "CERN'S cvmfs2 IS NOT INSTALLED: the source cvmfs2 was tested over a stand-in only"
    : false);

repositorySourceSuite('embedded', cannotMount, (t) => labOf(t, embedded));
repositorySourceSuite('cvmfs2 over a stand-in', cannotMount, (t) => standInLab(t));
repositorySourceSuite('cvmfs2', cannotRunReal, (t) => labOf(t, cvmfs2(real ?? '')));
repositorySourceSuite('external', cannotMount, externalLab);

for (const [name, make] of [
  ['embedded', (t: TestContext, change: Change = {}) => labOf(t, embedded, change)],
  ['cvmfs2', standInLab],
] as const) {
  const ownersTest = (what: string, change: Change, owners: readonly number[]): void =>
    void test(`${name}: ${what}`, { skip: cannotMount }, async (t) => {
      const lab = await make(t, change);
      const source = lab.source();
      await source.resolve(FQRN);
      const { path } = await source.acquire(FQRN, {});
      const shown = [DUCC_LAYER, LAYER].map(async (layer) => {
        const { uid, gid } = await stat(join(path, layer, 'app/run.sh'));
        return [uid, gid];
      });
      assert.deepEqual((await Promise.all(shown)).flat(), owners);
      await source.release(FQRN);
    });
  const remapped = [{ containerId: 0, hostId: 100_000, size: 65_536 }];
  const [idMaps, claims] = [{ uids: remapped, gids: remapped }, { CVMFS_CLAIM_OWNERSHIP: 'yes' }];
  ownersTest('owners are as they were published', {}, [990, 990, 1000, 1000]);
  ownersTest('claimed layers belong to root', { settings: claims }, [0, 0, 0, 0]);
  ownersTest(
    'claimed layers belong to the root of a user name space',
    { idMaps, settings: claims },
    [100_000, 100_000, 100_000, 100_000],
  );
  ownersTest(
    'owners in layers are users of a user name space',
    { idMaps },
    [100_990, 100_990, 101_000, 101_000],
  );
  ownersTest(
    'one that a user name space does not have is shown as nobody',
    { idMaps: { uids: [{ containerId: 0, hostId: 5, size: 995 }], gids: [] } },
    [995, 990, 65_534, 1000],
  );

  test(
    `${name}: the death of its process is told, and it is mounted anew`,
    { skip: cannotMount },
    async (t) => {
      const lab = await make(t);
      const source = lab.source();
      await source.resolve(FQRN);
      const { path } = await source.acquire(FQRN, {});
      const lost = new Promise<string>((resolve) => {
        t.after(source.watch((repository, { message }) => resolve(`${repository}: ${message}`)));
      });
      process.kill(await serverOf(path), 'SIGKILL');
      assert.match(await lost, /thin\.example\.org: .*ended.*started again/);
      await source.acquire(FQRN, {});
      assert.match(await readFile(join(path, LAYER, 'app/run.sh'), 'utf8'), /^#!/);
    },
  );
}

test('cvmfs2 that is not installed is told with what to do', { skip: cannotMount }, async (t) => {
  const { places } = await placesOf(t);
  const source = cvmfs2Source({ ...places, program: null });
  await assert.rejects(source.resolve(FQRN), {
    code: 'failed_precondition',
    message: /cvmfs2 is not in PATH.*install.*cvmfs\.mount=embedded/,
  });
});

test('what cvmfs2 said is in the error', { skip: cannotMount }, async (t) => {
  const lab = await standInLab(t);
  const source = lab.source();
  await source.resolve(FQRN);
  await configureThin(join(lab.directory, '../etc'), await RepositoryServer.deadUrl());
  await assert.rejects(source.acquire(FQRN, {}), {
    code: 'unavailable',
    message: /thin\.example\.org cannot be mounted: .*cvmfs2 ended with 9: .*thin\.example\.org\.log/s,
  });
});

test('a CVMFS_USER whom nobody knows is told', { skip: cannotMount }, async (t) => {
  const lab = await standInLab(t, { settings: { CVMFS_USER: 'nobody-of-that-name' } });
  const source = lab.source();
  await source.resolve(FQRN);
  await assert.rejects(source.acquire(FQRN, {}), {
    code: 'failed_precondition',
    message: /CVMFS_USER=nobody-of-that-name, whom this host does not know/,
  });
});

test('a cvmfs2 that serves another mountpoint is not taken over', { skip: cannotMount }, async (t) => {
  const lab = await standInLab(t);
  const host = join(lab.directory, '../host');
  await mkdir(host);
  const elsewhere = cvmfs2('', { directory: host, isMounted: () => Promise.resolve(true) });
  const first = elsewhere(placesBelow(join(lab.directory, '..'), { uids: [], gids: [] }));
  await first.resolve(FQRN);
  await first.acquire(FQRN, {});
  t.after(() => first.release(FQRN));
  const source = lab.source();
  await source.resolve(FQRN);
  await assert.rejects(source.acquire(FQRN, {}), {
    code: 'failed_precondition',
    message: /serves the repository thin\.example\.org on .*host.*cvmfs\.mount\.thin\.example\.org=external/,
  });
  await first.release(FQRN);
});

test(
  'a cvmfs2 whose mount is gone, held by a reader, is told with its process',
  { skip: cannotMount },
  async (t) => {
    const lab = await standInLab(t);
    const source = lab.source();
    await source.resolve(FQRN);
    const { path } = await source.acquire(FQRN, {});
    const reader = await open(join(path, LAYER, 'app/run.sh'));
    t.after(() => reader.close());
    const pid = Number(await talk(talkSocket(lab), 'pid'));
    await check('umount', ['--lazy', path]);
    await assert.rejects(source.acquire(FQRN, {}), {
      code: 'failed_precondition',
      message: new RegExp(`process ${pid}\\) still serves .*nothing is mounted on ${path}`),
    });
    await reader.close();
    assert.ok(await endsWithin(pid, 10_000));
  },
);

test(
  'a client whose mount is gone, held by a reader, is told with its process, to who comes and to who misses a layer',
  { skip: cannotMount },
  async (t) => {
    const lab = await labOf(t, embedded);
    const source = lab.source();
    await source.resolve(FQRN);
    const { path, pid } = await source.acquire(FQRN, {});
    const reader = await open(join(path, LAYER, 'app/run.sh'));
    t.after(() => reader.close());
    await check('umount', ['--lazy', path]);
    const told = {
      code: 'failed_precondition',
      message: new RegExp(`process ${pid}\\) still serves .*nothing is mounted on ${path}`),
    };
    await assert.rejects(source.refresh(FQRN), told);
    await assert.rejects(lab.source().acquire(FQRN, {}), told);
    // What has it open reads on.
    assert.ok((await reader.readFile()).length > 0);
    await reader.close();
    assert.ok(await endsWithin(pid ?? 0, 10_000));
    assert.equal((await lab.source().acquire(FQRN, {})).anew, true);
  },
);

for (const mounted of [false, true]) {
  const where = mounted ? 'mounted' : 'not mounted';
  test(`a cvmfs2 that ends while it is asked is none, ${where}`, { skip: cannotMount }, async (t) => {
    const lab = await standInLab(t, {}, mounted ? { isMounted: () => Promise.resolve(true) } : {});
    const source = lab.source();
    await source.resolve(FQRN);
    await endsAfterOneAnswer(lab);
    await source.release(FQRN);
    await endsAfterOneAnswer(lab);
    const { anew } = await source.acquire(FQRN, {});
    assert.deepEqual([anew, (await mountsBelow(lab.directory)).length], [true, 1]);
  });
}

/** In the place of a cvmfs2: tells its mountpoint, and is gone. */
async function endsAfterOneAnswer(lab: SourceLab): Promise<void> {
  const server = createServer({ allowHalfOpen: true }, (connection) => {
    server.close();
    connection.end(join(lab.directory, FQRN)).resume();
  });
  await mkdir(dirname(talkSocket(lab)), { recursive: true });
  server.listen(talkSocket(lab));
  await once(server, 'listening');
}

test('nobody on a talk socket is told apart from one that fails', async (t) => {
  await assert.rejects(talk('/nowhere/cvmfs_io.x', 'pid'), {
    code: 'not_found',
    message: /"pid" on \/nowhere/,
  });
  await assert.rejects(talk(FIXTURES, 'pid'), { message: /does not answer/ });
  const { path } = await ScratchHome.make(t, 'h');
  const silent = createServer((connection) => void connection.end().resume());
  t.after(() => silent.close());
  silent.listen(join(path, 'silent'));
  await once(silent, 'listening');
  await assert.rejects(talk(join(path, 'silent'), 'mountpoint'), {
    code: 'not_found',
    message: /it ended before it answered/,
  });
});

test('what the host has in place of a repository is told', { skip: cannotMount }, async (t) => {
  const { path } = await ScratchHome.make(t, 'h');
  const [nowhere, directory] = [join(path, 'nowhere'), join(path, 'cvmfs')];
  const acquire = (below: string, repository = FQRN) => externalOn(below).acquire(repository, {});
  const absent = {
    code: 'unavailable',
    message: /the host has no \S+\/thin\.example\.org; mount .*embedded/,
  };
  await assert.rejects(acquire(nowhere), absent);
  await mkdir(directory);
  await assert.rejects(acquire(directory), absent);
  await mkdir(join(directory, FQRN));
  await assert.rejects(acquire(directory), {
    code: 'unavailable',
    message:
      /nothing is mounted on \S+\/thin\.example\.org, an empty directory; see whether autofs .*embedded/,
  });
  await check('mount', ['-t', 'tmpfs', 'tmpfs', join(directory, FQRN)]);
  assert.equal((await acquire(directory)).path, join(directory, FQRN));
  await writeFile(join(directory, 'file.example.org'), '');
  await symlink(FQRN, join(directory, 'link.example.org'));
  for (const name of ['file.example.org', 'link.example.org'])
    await assert.rejects(acquire(directory, name), {
      code: 'failed_precondition',
      message: new RegExp(`${name}: ENOTDIR .* where a directory has to be`),
    });
});

test('repositories that lie below one mount are there, without mounts of their own', async (t) => {
  const { path } = await ScratchHome.make(t, 'h');
  await mkdir(join(path, 'cvmfs', FQRN, 'layers'), { recursive: true });
  assert.equal((await externalOn(join(path, 'cvmfs')).acquire(FQRN, {})).path, join(path, 'cvmfs', FQRN));
});
