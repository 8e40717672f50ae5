/**
 * Containers whose users are others on the host (dockerd --userns-remap): who owns what on disk, and what archives tell.
 * Docker's own driver has the same owners and modes (moby, daemon/graphdriver/overlay2, create and Get).
 */

import assert from 'node:assert/strict';
import { chown, lstat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { archiveOf, entriesOf } from './archives.js';
import type { Entry } from './archives.js';
import { daemonTest } from './daemon.js';
import type { Daemon } from './daemon.js';
import { namesBelow, refused } from './refused.js';

const UID = 100_000;
const GID = 200_000;
const SIZE = 65_536;

type Ranges = readonly (readonly [container: number, host: number, size: number])[];

const UIDS: Ranges = [[0, UID, SIZE]];
const GIDS: Ranges = [[0, GID, SIZE]];

/** Every kind of file, of root, of a user, and of the last user that there is. */
const ENTRIES: readonly Entry[] = [
  { name: 'directory/', uid: 0, gid: 0 },
  { name: 'directory/of-user', uid: 1000, gid: 1001, contents: 'x' },
  { name: 'last', uid: SIZE - 1, gid: SIZE - 1, contents: 'x' },
  { name: 'symlink', uid: 1000, gid: 1000, type: 'symlink', linkname: '/nowhere' },
  { name: 'fifo', uid: 1000, gid: 0, type: 'fifo' },
  { name: 'device', uid: 0, gid: 5, type: 'character-device', devmajor: 1, devminor: 3 },
  { name: 'hardlink', uid: 1000, gid: 1001, type: 'link', linkname: 'directory/of-user' },
  { name: 'setuid', uid: 0, gid: 0, mode: 0o4755, contents: 'x' },
];

/** As `ENTRIES` lie on the disk: `uid:gid`, of the host. */
const ON_DISK = {
  '.': `${UID}:${GID}`,
  directory: `${UID}:${GID}`,
  'directory/of-user': `${UID + 1000}:${GID + 1001}`,
  last: `${UID + SIZE - 1}:${GID + SIZE - 1}`,
  symlink: `${UID + 1000}:${GID + 1000}`,
  fifo: `${UID + 1000}:${GID}`,
  device: `${UID}:${GID + 5}`,
  hardlink: `${UID + 1000}:${GID + 1001}`,
  setuid: `${UID}:${GID}`,
};

const MAPPED = `${UID}:${GID}`;

/** A remapped root may go through the directories above its own, and nothing else (CVE-2021-41091). */
const PASSABLE = `0:${GID}`;

mappedTest('home, layers and mounts belong to the mapped root as far as it needs them', async (daemon) => {
  const { client } = daemon;
  await client.create('base');
  await client.applyDiff('base', '', await archiveOf(ENTRIES));
  await client.createReadWrite('container', 'base');
  await client.get('container');
  for (const when of ['when made', 'after a restart']) {
    assert.deepEqual(
      await modes(daemon, ['.', 'l', '.trash', 'base', 'base/diff', 'base/layer.json']),
      {
        '.': `${PASSABLE} 710`,
        l: '0:0 700',
        '.trash': '0:0 700',
        base: `${PASSABLE} 710`,
        'base/diff': `${MAPPED} 755`,
        'base/layer.json': '0:0 644',
      },
      when,
    );
    assert.deepEqual(
      await modes(
        daemon,
        ['', 'diff', 'work', 'work/work'].map((name) => join('container', name)),
      ),
      {
        container: `${PASSABLE} 710`,
        'container/diff': `${MAPPED} 755`,
        'container/work': `${MAPPED} 700`,
        'container/work/work': `${MAPPED} 0`,
      },
      when,
    );
    // The mountpoint itself is below the mount, which shows the root of the container.
    assert.deepEqual(
      await modes(daemon, ['container/merged']),
      { 'container/merged': `${MAPPED} 755` },
      when,
    );
    await daemon.restart();
  }
  await client.create('later', 'base');
  assert.equal((await modes(daemon, ['later/diff']))['later/diff'], `${MAPPED} 755`, 'Init is remembered');
});

mappedTest(
  'an archive is stored with ids of the host and read with those of the container',
  async (daemon) => {
    const { client } = daemon;
    const archive = await archiveOf([...ENTRIES, { name: 'implied/by/name', uid: 7, gid: 7, contents: 'x' }]);
    await client.create('base');
    await client.applyDiff('base', '', archive);
    assert.deepEqual(await owners(daemon, 'base/diff'), {
      ...ON_DISK,
      implied: MAPPED,
      'implied/by': MAPPED,
      'implied/by/name': `${UID + 7}:${GID + 7}`,
    });
    assert.equal(
      (await lstat(join(daemon.home, 'base/diff/setuid'))).mode & 0o7777,
      0o4755,
      'chown comes first',
    );
    assert.deepEqual(await told(await client.diff('base')), {
      ...ownersIn(ENTRIES),
      'implied/': '0:0',
      'implied/by/': '0:0',
      'implied/by/name': '7:7',
    });
  },
);

mappedTest('an archive over another parent, and a diff against it, are mapped as well', async (daemon) => {
  const { client } = daemon;
  await client.create('base');
  await client.create('middle', 'base');
  await client.create('top', 'middle');
  await client.applyDiff('top', 'base', await archiveOf(ENTRIES));
  assert.deepEqual(await owners(daemon, 'top/diff'), ON_DISK);
  assert.deepEqual(await told(await client.diff('top', 'base')), ownersIn(ENTRIES));
});

mappedTest('what a container writes is told with its own ids', async (daemon) => {
  const { client } = daemon;
  await client.create('base');
  await client.applyDiff('base', '', await archiveOf(ENTRIES));
  await client.createReadWrite('container', 'base');
  const merged = daemon.inside(await client.get('container'));
  await writeFile(join(merged, 'written'), 'x');
  await chown(join(merged, 'written'), UID + 33, GID + 34);
  assert.deepEqual(await told(await client.diff('container', 'base')), { written: '33:34' });

  await chown(join(merged, 'written'), 0, GID);
  const text = /written belongs to user 0, whom no range of the id map holds; give the file to a mapped user/;
  await refused(client.diff('container', 'base'), 412, text);
});

mappedTest('an id that no range holds is refused, and the layer stays as it was', async (daemon) => {
  const { client } = daemon;
  await client.create('base');
  for (const [entry, text] of [
    [{ name: 'a', uid: SIZE, gid: 0 }, /"a" cannot be unpacked: its uid 65536 is in no range of the id map/],
    [{ name: 'b', uid: 0, gid: SIZE }, /its gid 65536 is in no range/],
    [{ name: '.wh.c', uid: SIZE, gid: 0 }, /its uid 65536 is in no range/],
  ] as const) {
    await refused(client.applyDiff('base', '', await archiveOf([...ENTRIES, entry])), 400, text);
    assert.deepEqual(await owners(daemon, 'base/diff'), { '.': MAPPED });
  }
  assert.ok((await client.applyDiff('base', '', await archiveOf(ENTRIES))) > 0);
});

mappedTest(
  'several ranges with gaps between them',
  async (daemon) => {
    const { client } = daemon;
    const entry = (uid: number) => ({ name: `of-${uid}`, uid, gid: 0, contents: 'x' });
    await client.create('base');
    await client.applyDiff('base', '', await archiveOf([0, 1000, 1009].map(entry)));
    assert.deepEqual(await owners(daemon, 'base/diff'), {
      '.': `5000:${GID}`,
      'of-0': `5000:${GID}`,
      'of-1000': `9000:${GID}`,
      'of-1009': `9009:${GID}`,
    });
    assert.deepEqual(await told(await client.diff('base')), {
      'of-0': '0:0',
      'of-1000': '1000:0',
      'of-1009': '1009:0',
    });
    await client.create('other');
    for (const uid of [1, 999, 1010]) {
      const archive = await archiveOf([entry(uid)]);
      await refused(client.applyDiff('other', '', archive), 400, new RegExp(`uid ${uid} is in no range`));
    }
  },
  [
    [0, 5000, 1],
    [1000, 9000, 10],
  ],
);

daemonTest('maps in which containers have no root are refused', async (daemon) => {
  await refused(
    initMapped(daemon, [[1, UID, SIZE]], GIDS),
    400,
    /no range that holds id 0, so containers have no root/,
  );
  await refused(initMapped(daemon, UIDS, [[1, GID, SIZE]]), 400, /no range that holds id 0/);
  await refused(
    initMapped(daemon, [[0, UID, 0]], GIDS),
    400,
    /UIDMaps must hold objects of container_id, host_id and size/,
  );
  await initMapped(daemon, UIDS, GIDS);
});

/** On a daemon whose home was opened with these maps. */
function mappedTest(name: string, body: (daemon: Daemon) => Promise<void>, uids = UIDS): void {
  const mapped = async (daemon: Daemon) => {
    await initMapped(daemon, uids, GIDS);
    await body(daemon);
  };
  daemonTest(name, mapped, { init: false });
}

async function initMapped(daemon: Daemon, uids: Ranges, gids: Ranges): Promise<void> {
  const wire = (ranges: Ranges) =>
    ranges.map(([container, host, size]) => ({ container_id: container, host_id: host, size }));
  await daemon.client.call('Init', { Home: daemon.home, Opts: [], UIDMaps: wire(uids), GIDMaps: wire(gids) });
}

/** `uid:gid mode` of paths below the home, with symlinks not followed. */
async function modes(daemon: Daemon, paths: readonly string[]): Promise<Record<string, string>> {
  const home = daemon.inside(daemon.home);
  const modeOf = async (path: string): Promise<[string, string]> => {
    const { uid, gid, mode } = await lstat(join(home, path));
    return [path.replace(/\/$/, ''), `${uid}:${gid} ${(mode & 0o7777).toString(8)}`];
  };
  return Object.fromEntries(await Promise.all(paths.map(modeOf)));
}

/** `uid:gid` of all below a directory in the home, and of itself. */
async function owners(daemon: Daemon, directory: string): Promise<Record<string, string>> {
  const root = join(daemon.home, directory);
  const ownerOf = async (path: string): Promise<[string, string]> => {
    const { uid, gid } = await lstat(join(root, path));
    return [path, `${uid}:${gid}`];
  };
  return Object.fromEntries(await Promise.all(['.', ...(await namesBelow(root))].map(ownerOf)));
}

/** `uid:gid` in an archive, by name. */
async function told(archive: Buffer): Promise<Record<string, string>> {
  const found: Entry[] = [];
  for await (const { header } of entriesOf(archive)) found.push(header);
  return ownersIn(found);
}

function ownersIn(entries: readonly Entry[]): Record<string, string> {
  return Object.fromEntries(entries.map(({ name, uid, gid }) => [name, `${uid}:${gid}`]));
}
