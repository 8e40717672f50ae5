import assert from 'node:assert/strict';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';

import { usedByContainers } from '../../../src/host/container-roots.js';
import { temporaryDirectory } from '../cvmfs/client.js';

const line = (device: string, point: string) =>
  `30 20 ${device} / ${point} rw,relatime - overlay overlay rw,lowerdir=/x\n`;

/** A /proc of these processes, each in a mount name space with these mounts. */
function procOf(t: TestContext, processes: Readonly<Record<string, readonly [string, string]>>): string {
  const proc = temporaryDirectory(t);
  for (const [pid, [namespace, mounts]] of Object.entries(processes)) {
    mkdirSync(join(proc, pid, 'ns'), { recursive: true });
    symlinkSync(`mnt:[${namespace}]`, join(proc, pid, 'ns/mnt'));
    writeFileSync(join(proc, pid, 'mountinfo'), mounts);
  }
  return proc;
}

function home(t: TestContext) {
  const directory = temporaryDirectory(t);
  const merged = (id: string) => {
    mkdirSync(join(directory, id, 'merged'), { recursive: true });
    return join(directory, id, 'merged');
  };
  return { directory, a: merged('a'), b: merged('b') };
}

test('a layer that is the root of some container is used; one that is only shown elsewhere is not', async (t) => {
  const { a, b } = home(t);
  const ours = line('0:1', a) + line('0:2', b);
  const proc = procOf(t, {
    self: ['1', ours],
    10: ['1', ours],
    11: ['2', ours],
    12: ['3', line('0:1', '/')],
    13: ['4', ''],
  });
  assert.deepEqual([...(await usedByContainers([a, b], proc))], [a]);
});

test('what cannot be told counts as used', async (t) => {
  const { directory, a, b } = home(t);
  const alone = procOf(t, { self: ['1', line('0:1', a)], 10: ['1', ''] });
  assert.deepEqual([...(await usedByContainers([a], alone))], [a], 'no other name space is to be seen');
  const proc = procOf(t, { self: ['1', line('0:1', a)], 11: ['2', ''] });
  assert.deepEqual([...(await usedByContainers([a, b], proc))], [b], 'it is not in mountinfo');
  const link = join(temporaryDirectory(t), 'home');
  symlinkSync(directory, link);
  const container = procOf(t, { self: ['1', line('0:1', a)], 11: ['2', line('0:1', '/')] });
  const linked = join(link, 'a/merged');
  assert.deepEqual(
    [...(await usedByContainers([linked], container))],
    [linked],
    'a symlink leads to the home',
  );
});
