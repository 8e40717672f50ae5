/** Archives that want out of their root, and machines that fail: nothing outside is touched. */

import assert from 'node:assert/strict';
import { readlinkSync } from 'node:fs';
import { lstat, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';

import type { ThinlayerError } from '../../src/core/errors.js';
import { paxEntry, tarEntry } from '../fakes/tar-bytes.js';
import { cannotUnpack, fingerprint, run, scratch, unpack, unpackEntries } from './unpacked.js';

const skip = cannotUnpack;

/** A root, and beside it a directory that must stay as it is. */
async function besideVictim(t: TestContext): Promise<{ root: string; check: () => Promise<void> }> {
  const { base, root } = await scratch(t);
  await mkdir(join(base, 'victim'));
  await writeFile(join(base, 'victim/hello'), 'canary');
  const before = await fingerprint(join(base, 'victim'));
  const links = (await stat(join(base, 'victim/hello'))).nlink;
  return {
    root,
    check: async () => {
      assert.equal(await fingerprint(join(base, 'victim')), before);
      assert.equal((await stat(join(base, 'victim/hello'))).nlink, links);
      assert.deepEqual((await readdir(base)).sort(), ['root', 'victim']);
    },
  };
}

const link = (name: string, linkname: string, typeflag = '2'): Buffer =>
  tarEntry({ name, linkname, typeflag });
const directory = (name: string): Buffer => tarEntry({ name, typeflag: '5', mode: 0o777, uid: 1 });
const file = (name: string): Buffer => tarEntry({ name, body: 'evil', mode: 0o777 });

/** Most after moby's TestApplyLayerInvalid*. */
const ATTACKS: Readonly<Record<string, readonly Buffer[]>> = {
  'a name with ..': [file('../victim/hello')],
  'an absolute name with ..': [file('/../victim/hello')],
  'a name with .. in the middle': [file('a/../../victim/hello')],
  'a directory ..': [directory('..')],
  'a PAX name': [paxEntry([['path', '../victim/hello']]), file('x')],
  'a hard link': [link('l', '../victim/hello', '1')],
  'an absolute hard link': [link('l', '/../victim/hello', '1')],
  'a hard link to a real file of the host': [link('l', '/etc/passwd', '1')],
  'a hard link through a symlink': [link('v', '../victim'), link('l', 'v/hello', '1'), file('l')],
  'a file through a symlink': [link('v', '../victim'), file('v/hello')],
  'a file through an absolute symlink': [link('v', '/tmp'), file('v/thinlayer-evil')],
  'a file through two symlinks': [link('a', '..'), link('b', 'a/victim'), file('b/hello')],
  'a directory over a symlink, and times at the end': [link('v', '../victim'), directory('v')],
  'a directory, replaced by a symlink before times are set': [directory('v'), link('v', '../victim')],
  'a symlink swapped below an open directory': [
    directory('d'),
    file('d/a'),
    link('d', '../victim'),
    file('d/hello'),
  ],
  'a file onto a symlink': [link('l', '../victim/hello'), file('l')],
  'metadata of a hard link to a symlink': [link('s', '../victim/hello'), link('h', 's', '1')],
  'a whiteout through a symlink': [link('v', '../victim'), file('v/.wh.hello')],
  'an opaque mark through a symlink': [link('v', '../victim'), file('v/.wh..wh..opq')],
  'a whiteout of ..': [file('d/.wh...')],
  'a whiteout of .': [file('.wh..')],
  'magic links': [
    link('p', '/proc/self/root'),
    file('p/thinlayer-evil'),
    link('f', '/proc/self/fd/0'),
    file('f/x'),
  ],
  'the root as a symlink': [link('.', '../victim'), file('hello')],
};

for (const [name, entries] of Object.entries(ATTACKS)) {
  test(`outside stays untouched: ${name}`, { skip }, async (t) => {
    for (const whiteouts of ['overlay', 'remove'] as const) {
      const { root, check } = await besideVictim(t);
      try {
        await unpackEntries(root, entries, { whiteouts });
      } catch (error) {
        const { code } = error as ThinlayerError;
        assert.equal(code, 'invalid_argument', String(error));
      }
      await check();
    }
  });
}

test('a hard link that leads nowhere says so', { skip }, async (t) => {
  const { root } = await scratch(t);
  await assert.rejects(unpackEntries(root, [link('l', 'etc/none', '1')]), {
    code: 'invalid_argument',
    path: `${root}/l`,
    message: /nothing to link to at etc\/none/,
  });
});

test("a hard link to a directory is the archive's fault", { skip }, async (t) => {
  const { root } = await scratch(t);
  for (const target of ['d', '.', '/', '']) {
    await assert.rejects(unpackEntries(root, [directory('d'), link('l', target, '1')]), {
      code: 'invalid_argument',
      message: /a hard link to the directory/,
    });
  }
});

test(
  'missing parents are made wherever they begin, through a symlink too, and not below one that leads nowhere',
  {
    skip,
  },
  async (t) => {
    const { root } = await scratch(t);
    const names = Array.from({ length: 9 }, (_, i) => `d${i}`);
    for (let existing = 0; existing < names.length; existing++) {
      const there = names.slice(0, existing).join('/');
      const entries = existing === 0 ? [] : [directory(there)];
      await unpackEntries(root, [...entries, link('top', `/${there}`), file(`top/${names.join('-/')}/f`)]);
      assert.equal(await readFile(join(root, there, names.join('-/'), 'f'), 'latin1'), 'evil');
      await rm(join(root, there, names[0] + '-'), { recursive: true });
    }
    await assert.rejects(unpackEntries(root, [link('s', 'none'), file('s/a/b/f')]), {
      code: 'invalid_argument',
      message: /openat2 s\/a\/b: ENOENT/,
    });
  },
);

test('names that no file can have are refused', { skip }, async (t) => {
  const { root } = await scratch(t);
  const long = 'n'.repeat(256);
  const names = [long, `${long}/a`, 'd/'.repeat(2048) + 'f', 'nul\0byte'];
  for (const name of names) {
    const entries = [paxEntry([['path', name]]), file('x')];
    await assert.rejects(unpackEntries(root, entries), { code: 'invalid_argument' }, name.slice(0, 20));
  }
  await assert.rejects(unpackEntries(root, [file('plain'), file('plain/below')]), {
    code: 'invalid_argument',
  });
});

test('device nodes are made, never opened', { skip }, async (t) => {
  const { root } = await scratch(t);
  // Opening either would fail or block: no such driver, nobody at the other end.
  await unpackEntries(root, [
    tarEntry({ name: 'none', typeflag: '3', major: 4095, minor: 1, mode: 0o640, uid: 3 }),
    tarEntry({ name: 'none-too', typeflag: '1', linkname: 'none', mode: 0o600 }),
    tarEntry({ name: 'fifo', typeflag: '6', mode: 0o640 }),
  ]);
  const device = await lstat(join(root, 'none'));
  assert.deepEqual([device.mode.toString(8), device.uid, device.nlink], ['20600', 0, 2]);
});

test('a tree deeper than any path is long can be replaced', { skip }, async (t) => {
  const { root } = await scratch(t);
  const deep = `${'d/'.repeat(400)}f`;
  await unpackEntries(root, [
    paxEntry([['path', `top/${deep}`]]),
    file('x'),
    link('s', `top/${'d/'.repeat(400)}`),
    paxEntry([['path', `s/${deep}`]]),
    file('x'),
    file('top'),
  ]);
  assert.equal(await readFile(join(root, 'top'), 'latin1'), 'evil');
});

test('a full disk is resource_exhausted and names the path, in each writing step', { skip }, async (t) => {
  const { base } = await scratch(t);
  const full = join(base, 'full');
  await mkdir(full);
  await run('mount', ['-t', 'tmpfs', '-o', 'size=256k,nr_inodes=20', 'tmpfs', full]);
  const steps: Record<string, readonly Buffer[]> = {
    contents: [tarEntry({ name: 'big', body: Buffer.alloc(2_000_000, 1) })],
    files: Array.from({ length: 30 }, (_, i) => tarEntry({ name: `f${i}` })),
    directories: Array.from({ length: 30 }, (_, i) => directory(`d${i}`)),
    parents: [file('a/'.repeat(30) + 'f')],
    symlinks: Array.from({ length: 30 }, (_, i) => link(`s${i}`, 'x')),
    whiteouts: Array.from({ length: 30 }, (_, i) => file(`.wh.w${i}`)),
  };
  try {
    for (const [step, entries] of Object.entries(steps)) {
      const failure = unpackEntries(full, entries);
      await assert.rejects(failure, { code: 'resource_exhausted', message: /ENOSPC/ }, step);
      await assert.rejects(failure, (error: ThinlayerError) => error.path?.startsWith(`${full}/`) === true);
      for (const name of await readdir(full)) await rm(join(full, name), { recursive: true });
    }
  } finally {
    await run('umount', [full]);
  }
});

/** How many this process has; a sanitizer opens libraries when it likes, to name functions. */
async function openDescriptors(): Promise<number> {
  const targets = (await readdir('/proc/self/fd')).map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch (error) {
      // The one that the directory itself was read by.
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 'closed';
      throw error;
    }
  });
  return targets.filter((target) => !/\.so(\.|$)/.test(target)).length;
}

test('an abort stops the work, leaves no descriptor open, and is told as such', { skip }, async (t) => {
  const { root } = await scratch(t);
  const controller = new AbortController();
  async function* endless(): AsyncGenerator<Uint8Array> {
    for (let i = 0; ; i++) {
      if (i === 2000) controller.abort();
      yield tarEntry({ name: `d${i % 50}/f${i}`, body: Buffer.alloc(5000, i) });
    }
  }
  const before = await openDescriptors();
  await assert.rejects(unpack(root, endless(), { signal: controller.signal }), { code: 'aborted' });
  assert.equal(await openDescriptors(), before);
  const { stdout: first } = await run('bash', ['-c', 'find "$1" | wc -l', 'bash', root]);
  await new Promise(setImmediate);
  const { stdout: second } = await run('bash', ['-c', 'find "$1" | wc -l', 'bash', root]);
  assert.equal(second, first);
});
