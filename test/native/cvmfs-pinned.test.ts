/** A revision that the configuration names is mounted in place of the newest, and stays. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';

import { MadeRepository } from '../cvmfs/made-repository.js';
import { SourceTree } from '../cvmfs/maker/source-tree.js';
import { cannotMount } from './cvmfs-fixture.js';

const skip = cannotMount;

async function threeRevisions(t: TestContext) {
  const made = await MadeRepository.make(t);
  const hashes = [1, 2, 3].map((revision) => {
    const tree = new SourceTree().file('/revision', String(revision));
    // 1,700,000,001 and so on: 2023-11-14T22:13:21Z.
    return made.maker.publish(tree, { tag: `v${revision}` }).hash;
  });
  return { made, hashes };
}

test(
  'a tag, a date or a hash names the revision that is mounted; nothing newer takes its place',
  { skip },
  async (t) => {
    const { made, hashes } = await threeRevisions(t);
    const pins: [Record<string, string>, number][] = [
      [{ CVMFS_REPOSITORY_TAG: 'v2' }, 2],
      [{ CVMFS_REPOSITORY_TAG: 'trunk' }, 3],
      [{ CVMFS_REPOSITORY_DATE: '2023-11-14T22:13:22Z' }, 2],
      [{ CVMFS_REPOSITORY_DATE: '2030-01-01T00:00:00Z' }, 3],
      [{ CVMFS_REPOSITORY_HASH: hashes[0] ?? '' }, 1],
      [{ CVMFS_ROOT_HASH: hashes[1] ?? '', CVMFS_REPOSITORY_TAG: 'v1' }, 2],
    ];
    for (const [settings, revision] of pins) {
      await t.test(JSON.stringify(settings), async (t) => {
        const client = await made.mount(t, { settings });
        assert.equal(await client.sh('cat revision'), String(revision));
        await client.ask('POST', '/refresh');
        assert.equal(await client.sh('cat revision'), String(revision));
        assert.equal((await client.status()).revision, revision);
      });
    }
  },
);

test('what is not in the history is told; a hash that is wrong is not mounted', { skip }, async (t) => {
  const { made } = await threeRevisions(t);
  const refused: [Record<string, string>, RegExp][] = [
    [
      { CVMFS_REPOSITORY_TAG: "x' OR '1'='1" },
      /the history of made\.example\.org has no tag .*correct CVMFS_REPOSITORY_TAG/,
    ],
    [
      { CVMFS_REPOSITORY_DATE: '2001-01-01T00:00:00Z' },
      /no tag as old as 2001-01-01.*correct CVMFS_REPOSITORY_DATE/,
    ],
    [{ CVMFS_ROOT_HASH: 'ab'.repeat(20) }, /data\/ab\/abab.*C cannot be fetched: .*404/],
  ];
  for (const [settings, message] of refused) {
    const quoted = Object.fromEntries(Object.entries(settings).map(([name, value]) => [name, `"${value}"`]));
    await assert.rejects(made.mount(t, { settings: quoted }), message);
  }
  made.maker.writeManifest({ H: undefined });
  await assert.rejects(made.mount(t, { settings: { CVMFS_REPOSITORY_TAG: 'v1' } }), /has no history/);
});
