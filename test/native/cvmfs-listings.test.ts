/** Every sample repository, mounted, is what its listing says. The listings were made from the published trees. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { MountedFixture, cannotMount, keyOf, readListing } from './cvmfs-fixture.js';
import { WITHOUT_CONTENT, assertSame } from './cvmfs-listing.js';

const skip = cannotMount;

const REPOSITORIES: readonly (readonly [string, readonly string[], string])[] = [
  ['sha1, 18 catalogs, 5507 entries', ['thin/rev-1'], 'thin/rev-1.jsonl'],
  ['the next revision', ['thin/rev-2-delta', 'thin/rev-1'], 'thin/rev-2.jsonl'],
  ['shake128, with nanoseconds', ['shake/repo'], 'shake/listing.jsonl'],
  ['rmd160, chunked files stored whole as well', ['rmd160/repo'], 'rmd160/listing.jsonl'],
  ['objects not compressed', ['plain/repo'], 'plain/listing.jsonl'],
  ['a hidden directory', ['snap/repo'], 'snap/listing.jsonl'],
  ['a root catalog at an alternative path', ['alt/repo'], 'alt/listing.jsonl'],
  ['sha1 and shake128 mixed', ['mixed/repo'], 'mixed/listing.jsonl'],
];

for (const [name, folders, listing] of REPOSITORIES) {
  test(`a mount shows what was published: ${name}`, { skip }, async (t) => {
    const fixture = await MountedFixture.make(t, folders);
    assertSame(await fixture.list(), readListing(listing), folders[0] === 'shake/repo');
    const objects = fixture.misses
      .filter(({ path }) => !WITHOUT_CONTENT.test(path))
      .map(({ object }) => object);
    assert.equal(new Set(objects).size, objects.length, 'every object is asked for once');
  });
}

test('snapshots of old revisions are bound below a hidden directory', { skip }, async (t) => {
  const fixture = await MountedFixture.make(t, ['snap/repo']);
  const shown = await fixture.list('/.cvmfs/snapshots');
  const below = '/.cvmfs/snapshots';
  const listed = readListing('snap/hidden.jsonl').filter((entry) => keyOf(entry).startsWith(`${below}/`));
  const known = new Set(listed.map(keyOf));
  // The listing has what is below the snapshots, not the snapshots themselves.
  const inside = shown
    .map((entry) => ({ ...entry, path: below + keyOf(entry) }))
    .filter((entry) => known.has(entry.path));
  assertSame(inside, listed);
  assert.deepEqual((await fixture.sh('ls -A .cvmfs/snapshots; ls -A')).includes('.cvmfs\n'), false);
});

test(
  'names of a hard link group are one inode, whose numbers stay from mount to mount',
  { skip },
  async (t) => {
    const numbers = async (): Promise<Map<string, unknown>> => {
      const fixture = await MountedFixture.make(t, ['shake/repo']);
      return new Map((await fixture.list()).map((entry) => [keyOf(entry), entry['ino']]));
    };
    const [first, second] = [await numbers(), await numbers()];
    assert.deepEqual(first, second);
    for (const entry of readListing('shake/listing.jsonl')) {
      if (typeof entry['hl'] === 'string') assert.equal(first.get(keyOf(entry)), first.get(entry['hl']));
    }
    const groups = readListing('shake/listing.jsonl').filter((entry) => entry['hl'] !== undefined);
    assert.ok(groups.length > 3);
  },
);
