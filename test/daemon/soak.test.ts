/**
 * Mixed load for a while: thin and ordinary layers live and die, a revision is looked for, and memory and descriptors of the daemon
 * and of the repository's process stay where they were. `THINLAYER_SOAK_MINUTES` says how long; a few seconds without, in which memory is not judged.
 */

import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';

import { askClient } from '../../src/cvmfs/client-socket.js';
import { thinDescriptor } from '../cvmfs/thin-repository.js';
import { archiveOf } from './archives.js';
import { cannotRun } from './daemon.js';
import type { Daemon } from './daemon.js';
import { times, wholeLife } from './layers.js';
import { Random } from './random.js';
import { startThin } from './thin-daemon.js';

const MINUTES = Number(process.env['THINLAYER_SOAK_MINUTES'] ?? 0.1);
const SAMPLES = 12;
const WORKERS = 4;
const FILES = ['app/run.sh', 'app/data.txt', 'opt/removed-dir/again', 'etc/issue'];
/** What memory may grow by after the first quarter, in which caches fill: far less than a leak makes of an hour. */
const GROWTH_MIB = 24;

interface Sample {
  readonly mib: readonly number[];
  readonly descriptors: readonly number[];
}

void test('under mixed load memory and descriptors stay where they were', { skip: cannotRun }, async (t) => {
  await using started = await startThin();
  const { daemon } = started;
  const random = new Random();
  await daemon.client.create('image');
  await daemon.client.applyDiff(
    'image',
    '',
    await archiveOf([{ name: 'thin.json', contents: await thinDescriptor() }]),
  );
  const samples: Sample[] = [];
  const sampleMs = (MINUTES * 60_000) / SAMPLES;
  let lives = 0;
  while (samples.length < SAMPLES) {
    const end = performance.now() + sampleMs;
    await times(WORKERS, async (worker) => {
      do await oneLife(daemon, random, `${lives++}-${worker}`);
      while (performance.now() < end);
    });
    samples.push(await sample(daemon));
  }
  t.diagnostic(`seed ${random.seed}, ${lives} lives; MiB and descriptors of thinlayerd and thinlayer-cvmfs:`);
  for (const { mib, descriptors } of samples)
    t.diagnostic(`${mib.map(Math.round).join(' ')}; ${descriptors.join(' ')}`);
  assertFlat(samples);
});

async function oneLife(daemon: Daemon, random: Random, name: string): Promise<void> {
  const { client } = daemon;
  const kind = random.below(8);
  if (kind === 0) return void (await askClient(await controlSocket(daemon), 'POST', '/refresh'));
  if (kind < 3) return await wholeLife(daemon, name);
  await client.createReadWrite(name, 'image');
  const merged = daemon.inside(await client.get(name));
  for (let count = 1 + random.below(4); count > 0; count--) await readFile(join(merged, random.pick(FILES)));
  await writeFile(join(merged, 'written'), name);
  await client.put(name);
  assert.deepEqual(await client.changes(name, 'image'), [{ Path: '/written', Kind: 1 }]);
  await client.remove(name);
}

async function controlSocket(daemon: Daemon): Promise<string> {
  const directory = daemon.inside('/run/thinlayer/cvmfs');
  const names = await readdir(directory).catch(() => [] as string[]);
  const name = names.find((one) => one.endsWith('.sock'));
  if (name !== undefined) return join(directory, name);
  // Nobody mounted it yet: a container does.
  await daemon.client.createReadWrite('first', 'image');
  await daemon.client.get('first');
  await daemon.client.put('first');
  await daemon.client.remove('first');
  return await controlSocket(daemon);
}

async function sample(daemon: Daemon): Promise<Sample> {
  const status = (await askClient(await controlSocket(daemon), 'GET', '/status')) as { pid: number };
  const pids = [daemon.pid, await outside(daemon, status.pid)];
  return {
    mib: await Promise.all(pids.map(residentMib)),
    descriptors: await Promise.all(pids.map(async (pid) => (await readdir(`/proc/${pid}/fd`)).length)),
  };
}

/** The process id that one of the jail has for everybody. */
async function outside(daemon: Daemon, inner: number): Promise<number> {
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const status = await readFile(`/proc/${name}/status`, 'utf8').catch(() => '');
    const [, , own] = /^NSpid:\t(\d+)\t(\d+)$/m.exec(status) ?? [];
    if (own !== String(inner)) continue;
    const command = await readFile(`/proc/${name}/cmdline`, 'utf8').catch(() => '');
    if (command.includes(daemon.jail.directory)) return Number(name);
  }
  throw new Error(`no process ${inner} in the jail`);
}

async function residentMib(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024;
}

function assertFlat(samples: readonly Sample[]): void {
  const settled = samples.slice(SAMPLES / 4);
  const [first, last] = [settled[0], settled.at(-1)];
  assert.ok(first && last);
  for (const [index, mib] of last.mib.entries()) {
    const lowest = Math.min(...settled.slice(-3).map((each) => each.mib[index] ?? Infinity));
    const grown = lowest - (first.mib[index] ?? 0);
    assert.ok(grown < GROWTH_MIB || MINUTES < 1, `memory grew from ${first.mib[index]} to ${mib} MiB`);
    const spread = (last.descriptors[index] ?? 0) - (first.descriptors[index] ?? 0);
    assert.ok(spread <= WORKERS, `descriptors grew by ${spread}`);
  }
}
