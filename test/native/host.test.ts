/** Lock, file system sync and attributes on the real kernel. */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';

import { loadAddon } from '../../src/host/addon.js';
import { lockHome } from '../../src/host/lock.js';
import { needsRoot, scratchDirectory, shell } from './scratch-tree.js';

const addon = loadAddon();

async function makeHome(t: TestContext): Promise<string> {
  const home = await mkdtemp(join(tmpdir(), 'thinlayer-native-'));
  t.after(() => rm(home, { recursive: true }));
  return home;
}

test('a home is locked once, until it is released', async (t) => {
  const home = await makeHome(t);
  const first = await lockHome(addon, home);
  assert.equal(await readFile(join(home, '.lock'), 'utf8'), `${process.pid}\n`);
  await assert.rejects(lockHome(addon, home), {
    code: 'failed_precondition',
    message: `${home} is in use by another daemon (process ${process.pid}); stop it, or choose another directory`,
  });
  await first.release();
  await (await lockHome(addon, home)).release();
});

test('a lock is waited for as long as there is patience, which is told once', async (t) => {
  const home = await makeHome(t);
  const first = await lockHome(addon, home);
  const waited: string[] = [];
  const waits = (holder: string) => void waited.push(holder);
  const { signal } = new AbortController();
  await assert.rejects(lockHome(addon, home, { ms: 250, signal, waits }), /in use by another daemon/);
  assert.deepEqual(waited, [`${process.pid}`]);

  const second = lockHome(addon, home, { ms: 60_000, signal, waits: () => void first.release() });
  await (await second).release();
});

test('a wait for a lock is a refusal once it is called off', async (t) => {
  const home = await makeHome(t);
  const first = await lockHome(addon, home);
  const calledOff = new AbortController();
  const patience = { ms: 60_000, signal: calledOff.signal, waits: () => calledOff.abort() };
  await assert.rejects(lockHome(addon, home, patience), { code: 'failed_precondition' });
  await first.release();
});

// Containers go on to write: what the lock's text frees for a moment is theirs, and the file empty from then on.
test('a home on a full disk is locked', needsRoot, async (t) => {
  const home = scratchDirectory(t);
  shell(
    home,
    'mount -t tmpfs -o size=16k none .; cd "$PWD"; touch .lock; head -c 64k /dev/zero > full || true',
  );
  const lock = await lockHome(addon, home);
  await assert.rejects(lockHome(addon, home), /in use by another daemon \(process unknown\)/);
  await lock.release();
  await rm(join(home, 'full'));
  const second = await lockHome(addon, home);
  assert.equal(await readFile(join(home, '.lock'), 'utf8'), `${process.pid}\n`);
  await second.release();
});

test('the kernel takes the lock back from a killed process', async (t) => {
  const home = await makeHome(t);
  const script = `
    import { loadAddon } from ${JSON.stringify(new URL('../../src/host/addon.js', import.meta.url).href)};
    await loadAddon().lockFile(${JSON.stringify(join(home, '.lock'))}, String(process.pid));
    console.log('locked');
    setInterval(() => {}, 1000);`;
  const child = execFile(process.execPath, ['--input-type=module', '-e', script]);
  t.after(() => child.kill('SIGKILL'));
  await once(child.stdout ?? child, 'data');
  await assert.rejects(lockHome(addon, home), new RegExp(`process ${child.pid}`));
  child.kill('SIGKILL');
  await once(child, 'exit');
  await (await lockHome(addon, home)).release();
});

test('a lock file that is a symlink is refused', async (t) => {
  const home = await makeHome(t);
  await symlink('/dev/null', join(home, '.lock'));
  await assert.rejects(lockHome(addon, home), { code: 'invalid_argument', op: 'lock' });
});

test('syncfs', async (t) => {
  const home = await makeHome(t);
  await addon.syncfs(home);
  await assert.rejects(addon.syncfs(join(home, 'missing')), { code: 'ENOENT', syscall: 'open' });
});

test('attributes are set and read, an absent one is null', async (t) => {
  const file = join(await makeHome(t), 'file');
  await writeFile(file, '');
  assert.equal(await addon.getXattr(file, 'user.colour'), null);
  await addon.setXattr(file, 'user.colour', 'red');
  assert.equal(await addon.getXattr(file, 'user.colour'), 'red');
  await assert.rejects(addon.getXattr(`${file}2`, 'user.colour'), { code: 'ENOENT' });
});

test('directory types are told', async (t) => {
  const home = await makeHome(t);
  await writeFile(join(home, 'file'), '');
  assert.equal(typeof (await addon.supportsDType(home)), 'boolean');
});
