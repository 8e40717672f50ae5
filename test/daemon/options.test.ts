/** What each option does to the mounts, layers and answers of a real thinlayerd, on its command line and in dockerd's Init. */

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { parseMountinfo } from '../../src/host/mountinfo.js';
import type { MountEntry } from '../../src/host/mountinfo.js';
import type { Jail } from '../system/jail.js';
import { run, waitFor } from '../system/process.js';
import { archiveOf } from './archives.js';
import { daemonTest } from './daemon.js';
import type { Daemon } from './daemon.js';
import { makeContainer, makeImage, removeContainer } from './layers.js';
import { refused } from './refused.js';

const NO_QUOTAS = /has no project quotas \(.+\); a size limit needs xfs mounted with pquota, or ext4/;

const REFUSED: readonly (readonly [string, RegExp])[] = [
  ['thinlayer.sync=sometimes', /thinlayer\.sync: "sometimes" is none of records, data, off/],
  ['thinlayer.max_lowers=501', /thinlayer\.max_lowers: "501" is not a number from 1 to 500/],
  [
    'overlay2.mountopt=lowerdir=/etc',
    /overlay2\.mountopt: "lowerdir=\/etc" is not allowed; allowed are nodev,/,
  ],
  ['overlay2.size=much', /overlay2\.size: "much" is not a size/],
  ['overlay2.override_kernel_check=perhaps', /"perhaps" is neither true nor false/],
  [
    'overlay2.colour=red',
    /unknown storage option "overlay2\.colour"; known are overlay2\.override_kernel_check, overlay2\.size, overlay2\.mountopt, thinlayer\.max_lowers, thinlayer\.sync, cvmfs\.mount, cvmfs\.config_dir, cvmfs\.repository, cvmfs\.layers, cvmfs\.prefetch, cvmfs\.mount\.REPOSITORY, cvmfsMountMethod/,
  ],
  ['cvmfs.config_dir=/nonexistent', /cvmfs\.config_dir: there is no directory \/nonexistent; make it, or/],
  ['cvmfs.config_dir=/etc/passwd', /cvmfs\.config_dir: there is no directory \/etc\/passwd; make it, or/],
  [
    'cvmfs.mount.BAD=external',
    /cvmfs\.mount\.BAD: "BAD" is not the full name of a CVMFS repository; write its domain/,
  ],
  ['nodev', /storage option "nodev" is not of the form key=value/],
];

daemonTest(
  'an option that cannot be is refused: by Init, and on the command line at the start',
  async (daemon) => {
    await makeImage(daemon, 'base');
    for (const [option, text] of REFUSED) {
      await refused(daemon.client.init(daemon.home, [option]), 400, text, option);
      // What was open stays open.
      assert.equal(await daemon.client.exists('base'), true);
      const [program = '', ...args] = daemon.command('--storage-opt', option);
      const ended = await run(program, args);
      assert.equal(ended.code, 1, option);
      assert.match(ended.stderr, text, option);
    }
  },
);

daemonTest(
  'a configuration directory that went away is told by the next start, which goes on without',
  async (daemon) => {
    const directory = daemon.path('cvmfs-config');
    await mkdir(directory);
    await daemon.client.init(daemon.home, [`cvmfs.config_dir=${directory}`]);
    await makeImage(daemon, 'base');
    await rm(directory, { recursive: true });
    await daemon.restart();
    assert.equal(await daemon.client.exists('base'), true);
    // The home is served first.
    const told = async () =>
      /cvmfs\.config_dir: there is no directory/.test(await daemon.logTail()) || undefined;
    await waitFor('the warning', told);
  },
);

daemonTest(
  'an option counts in any case of its key, from dockerd as from the command line',
  async (daemon) => {
    for (const method of ['cvmfsMountMethod', 'cvmfsmountmethod', 'CVMFSMOUNTMETHOD']) {
      await daemon.client.init(daemon.home, [`${method}=internal`]);
    }
    await daemon.client.init(daemon.home, ['CVMFS.Layers=a.example.org', 'cvmfs.mount=external']);
    const shown = await daemon.client.status();
    assert.equal(shown['CVMFS Layers'], 'a.example.org');
    assert.equal(shown['CVMFS Repository'], 'a.example.org');
    assert.equal(shown['CVMFS Mount'], 'external');
    for (const sync of ['records', 'data', 'off']) {
      await daemon.client.init(daemon.home, [`Thinlayer.Sync=${sync}`]);
      assert.equal((await daemon.client.status())['Sync'], sync);
      await makeContainer(daemon, sync);
      await removeContainer(daemon, sync);
    }
  },
);

daemonTest(
  "options of the command line hold where dockerd's own say nothing else",
  async (daemon) => {
    assert.equal((await daemon.client.status())['Sync'], 'off');
    await mountedContainer(daemon);
    assert.ok((await mountOf(daemon, 'container')).options.includes('nodev'));
    await daemon.client.init(daemon.home, ['thinlayer.sync=data']);
    assert.equal((await daemon.client.status())['Sync'], 'data');
    await daemon.restart();
    assert.equal((await daemon.client.status())['Sync'], 'data', 'what dockerd said is remembered');
  },
  {
    arguments: ['thinlayer.sync=off', 'cvmfsMOUNTmethod=external', 'overlay2.mountopt=nodev'].flatMap(
      (option) => ['--storage-opt', option],
    ),
  },
);

daemonTest(
  'overlay2.mountopt is in the mounts of containers and of images',
  async (daemon) => {
    await mountedContainer(daemon);
    await daemon.client.get('middle');
    for (const id of ['container', 'middle']) {
      const { options } = await mountOf(daemon, id);
      const missing = ['nodev', 'noatime'].filter((option) => !options.includes(option));
      assert.deepEqual(missing, [], `mount options of ${id}: ${options.join()}`);
    }
    // What the kernel makes of it.
    await daemon.jail.run(['mknod', join(daemon.home, 'container/merged/null'), 'c', '1', '3']);
    const opened = daemon.jail.run(['cat', join(daemon.home, 'container/merged/null')]);
    await assert.rejects(opened, /Permission denied/);
  },
  { storageOptions: ['overlay2.mountopt=nodev,noatime'] },
);

const DEEP = 200;

daemonTest('128 lower layers by default, more if thinlayer.max_lowers says so', async (daemon) => {
  const { client } = daemon;
  await client.init(daemon.home, ['thinlayer.sync=off']);
  await growChain(daemon, 0, 128);
  await client.createReadWrite('at-the-limit', 'layer127');
  await assertDeep(daemon, 'at-the-limit', 128);
  await client.create('layer128', 'layer127');
  const tooDeep =
    /max depth exceeded: layer over has 129 lower layers, the limit is 128; squash the image, or raise/;
  await refused(client.createReadWrite('over', 'layer128'), 412, tooDeep);
  await refused(client.create('over', 'layer128'), 412, tooDeep);
  assert.equal(await client.exists('over'), false);

  await client.init(daemon.home, ['thinlayer.sync=off', 'thinlayer.max_lowers=500']);
  if ((await client.status())['Mount API'] === 'fsopen') {
    await growChain(daemon, 129, DEEP);
    await client.createReadWrite('deep', `layer${DEEP - 1}`);
    await assertDeep(daemon, 'deep', DEEP);
  }

  await client.init(daemon.home, ['thinlayer.max_lowers=3']);
  await refused(
    client.get('at-the-limit'),
    412,
    /max depth exceeded: .* has 128 lower layers, the limit is 3/,
  );
  assert.ok((await client.diff('at-the-limit', 'layer127')).length > 0, 'it can be read all the same');
});

daemonTest(
  'overlay2.size is refused where no quota can be kept, at once and for one container',
  async (daemon) => {
    await makeImage(daemon, 'base');
    if ((await daemon.client.status())['Project Quota'] === 'available') {
      await daemon.client.init(daemon.home, ['overlay2.size=1G']);
      return;
    }
    await refused(daemon.client.init(daemon.home, ['overlay2.size=1G']), 412, NO_QUOTAS);
    await daemon.client.init(daemon.home);
    const limited = daemon.client.createReadWrite('limited', 'base', { StorageOpt: { size: '1G' } });
    await refused(limited, 412, NO_QUOTAS);
    assert.equal(await daemon.client.exists('limited'), false);
    assert.equal(existsSync(join(daemon.home, 'limited')), false);
    await refused(
      daemon.client.create('image', 'base', { StorageOpt: { size: '1G' } }),
      400,
      /size is for containers; an image layer has no quota/,
    );
  },
);

daemonTest(
  'overlay2.override_kernel_check opens a home that is not fit for mounts: the rest works',
  async (daemon) => {
    const { client } = daemon;
    const text = /overlay mounts do not work in .* \(on overlayfs\).*put the directory on ext4/;
    for (const options of [[], ['overlay2.override_kernel_check=false']]) {
      await refused(client.init(daemon.home, options), 412, text);
    }
    await client.init(daemon.home, ['overlay2.override_kernel_check=true']);
    assert.match(await daemon.logTail(), text);
    await makeContainer(daemon, 'container');
    const base = daemon.inside(await client.get('base-of-container'));
    assert.equal(await readFile(join(base, 'mark'), 'utf8'), 'base-of-container');
    await refused(client.get('container'), 400, /^Get: mount failed: .*EINVAL/);
    await removeContainer(daemon, 'container');
    assert.deepEqual(await daemon.mounts(), []);
  },
  { init: false, home: 'overlay/home', before: mountOverlayFor },
);

/** A file system that cannot hold an upper layer: an overlay. */
async function mountOverlayFor(home: string, jail: Jail): Promise<void> {
  const target = dirname(home);
  const part = (name: string) => join(jail.directory, name);
  for (const name of ['lower', 'upper', 'work']) await mkdir(part(name));
  await mkdir(target);
  const directories = `lowerdir=${part('lower')},upperdir=${part('upper')},workdir=${part('work')}`;
  await jail.run(['mount', '-t', 'overlay', 'overlay', '-o', directories, target]);
}

daemonTest('a label where the kernel has no SELinux says how to do without', async (daemon, t) => {
  if (existsSync('/sys/fs/selinux/enforce')) return t.skip('SELINUX HERE: not tested');
  const { client } = daemon;
  const label = 'system_u:object_r:container_file_t:s0:c1,c2';
  const text = new RegExp(`has the SELinux label ${label}: .*start dockerd without --selinux-enabled`);
  await makeImage(daemon, 'base');
  await client.createReadWrite('labelled', 'base', { MountLabel: label });
  await client.createReadWrite('plain', 'base');
  await refused(client.get('labelled'), 412, text);
  await refused(client.call('Get', { ID: 'plain', MountLabel: label }), 412, text);
  await refused(client.call('Get', { ID: 'plain', MountLabel: 'a"b' }), 400, /not an SELinux label: "a\\"b"/);
  assert.deepEqual(await daemon.mounts(), []);
  await client.get('plain');
  await client.put('plain');
});

/** A container, and an image below it that is mounted read-only. */
async function mountedContainer(daemon: Daemon): Promise<void> {
  await makeImage(daemon, 'base');
  await makeImage(daemon, 'middle', 'base');
  await daemon.client.createReadWrite('container', 'middle');
  await daemon.client.get('container');
}

async function mountOf(daemon: Daemon, id: string): Promise<MountEntry> {
  const entries = parseMountinfo(await readFile(`/proc/${daemon.jail.init}/mountinfo`, 'utf8'));
  const entry = entries.find(({ mountPoint }) => mountPoint === join(daemon.home, id, 'merged'));
  assert.ok(entry, `${id} is mounted`);
  return entry;
}

/** Its lowest and its uppermost layer have a file that tells its place. */
async function growChain({ client }: Daemon, from: number, to: number): Promise<void> {
  for (let place = from; place < to; place++) {
    const parent = place === 0 ? '' : `layer${place - 1}`;
    await client.create(`layer${place}`, parent);
    if (place > 0 && place < to - 1) continue;
    const contents = `in layer ${place}`;
    await client.applyDiff(`layer${place}`, parent, await archiveOf([{ name: `file${place}`, contents }]));
  }
}

/** `depth` layers are below it, and both ends of them show through. */
async function assertDeep(daemon: Daemon, id: string, depth: number): Promise<void> {
  const merged = daemon.inside(await daemon.client.get(id));
  for (const place of [0, depth - 1]) {
    assert.equal(await readFile(join(merged, `file${place}`), 'utf8'), `in layer ${place}`);
  }
  const lowers = ((await daemon.client.metadata(id))['LowerDir'] ?? '').split(':');
  assert.equal(lowers.length, depth);
  await daemon.client.put(id);
}
