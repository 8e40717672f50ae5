/** What every source of repositories does, whoever mounts. */

import assert from 'node:assert/strict';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';

import type { RepositorySource } from '../../src/core/repository.js';
import { mountsBelow } from '../native/scratch-home.js';

/** A repository of the fixture `thin`, at revision 7, and a source that can show it. */
export interface SourceLab {
  readonly repository: string;
  /** Another one on the same places, as a daemon that was started again has. */
  source(): RepositorySource;
  /** Revision 10, with one layer more, is what the servers have from now on. */
  publish(): Promise<void>;
  /** Where mounts of the source's own appear. */
  readonly directory: string;
  /** False: it is the host that mounts, and knows the revision. */
  readonly ours: boolean;
}

const LAYER = 'layers/4a6b0ecbd97d19835848e6e3b068000d63d2bd57ce0384462c7862a53d6d181d';

/** A layer that only revision 10 has. */
const NEW_LAYER = 'layers/fc51b0c41344beebdbf93b6a9756ff7fd6852abec3a979d433bebe0cc7f07d16';

export function repositorySourceSuite(
  name: string,
  skip: string | false,
  make: (t: TestContext) => Promise<SourceLab>,
): void {
  const sourceTest = (what: string, body: (lab: SourceLab, t: TestContext) => Promise<void>) =>
    void test(`${name}: ${what}`, { skip }, async (t) => body(await make(t), t));

  sourceTest(
    'a repository is shown, once however often it is acquired, until it is released',
    async (lab) => {
      const { repository, ours } = lab;
      const source = lab.source();
      const mount = await acquire(source, repository);
      assert.equal(mount.revision, ours ? 7 : null);
      assert.match(await readFile(join(mount.path, LAYER, 'app/run.sh'), 'utf8'), /^#!/);
      assert.equal(mount.anew, ours);
      assert.deepEqual(await source.acquire(repository, {}), { ...mount, anew: false });
      assert.equal((await mountsBelow(lab.directory)).length, 1);
      await source.release(repository);
      assert.equal((await mountsBelow(lab.directory)).length, ours ? 0 : 1);
      await source.release(repository);
      assert.deepEqual((await acquire(source, repository)).path, mount.path);
      await source.release(repository);
    },
  );

  sourceTest('a daemon that was started again finds the mount of the one before', async (lab) => {
    const { path } = await acquire(lab.source(), lab.repository);
    const [before] = await mountsBelow(lab.directory);
    const again = lab.source();
    assert.equal((await acquire(again, lab.repository)).path, path);
    assert.deepEqual(await mountsBelow(lab.directory), [before]);
    await again.release(lab.repository);
  });

  sourceTest('a refresh shows what was published', async (lab) => {
    const source = lab.source();
    const { path } = await acquire(source, lab.repository);
    await assert.rejects(readdir(join(path, NEW_LAYER)), { code: 'ENOENT' });
    await lab.publish();
    const newer = await source.refresh(lab.repository);
    assert.equal(newer.revision, lab.ours ? 10 : null);
    assert.ok((await readdir(join(newer.path, NEW_LAYER))).length > 0);
    await source.release(lab.repository);
  });

  sourceTest('one that is not there is told with its name and the mend, and leaves nothing', async (lab) => {
    const source = lab.source();
    await assert.rejects(acquire(source, 'nowhere.example.org'), (error: Error & { code: string }) => {
      assert.match(error.message, /nowhere\.example\.org.*(configured|mount)/s);
      return ['failed_precondition', 'unavailable'].includes(error.code);
    });
    const left = (await readdir(lab.directory)).filter((name) => name.startsWith('nowhere'));
    assert.deepEqual(left, []);
  });
}

async function acquire(source: RepositorySource, repository: string) {
  await source.resolve(repository);
  return source.acquire(repository, {});
}
