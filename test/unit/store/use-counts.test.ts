import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';

import type { Disk } from '../../../src/core/disk.js';
import type { LayerId } from '../../../src/core/model.js';
import { openUseCounts } from '../../../src/store/use-counts.js';
import { temporaryDirectory } from '../cvmfs/client.js';
import { realDisk } from './disks.js';

const [A, B] = ['a', 'b'] as LayerId[] as [LayerId, LayerId];

function place(t: TestContext) {
  const directory = join(temporaryDirectory(t), '.uses');
  const written: string[] = [];
  const warnings: string[] = [];
  const disk: Disk = {
    ...realDisk,
    change: (changes) => {
      for (const change of changes) if (change.do === 'write') written.push(String(change.text));
      return realDisk.change(changes);
    },
  };
  const open = (mounted: readonly LayerId[], resumed = true) =>
    openUseCounts({
      directory,
      disk,
      mounted,
      resumed,
      log: { warn: (_, message) => void warnings.push(message) },
    });
  return { directory, open, written, warnings };
}

test('the next daemon finds the uses that dockerd has', async (t) => {
  const { directory, open } = place(t);
  const first = await open([A]);
  assert.deepEqual([...first.found], [[A, 1]]);
  await Promise.all([2, 3, 4, 3].map((uses) => first.keep(A, uses)));
  assert.equal(readFileSync(join(directory, 'a'), 'latin1'), '3');
  const second = await open([A, B]);
  assert.deepEqual(
    [...second.found],
    [
      [A, 3],
      [B, 1],
    ],
  );
  await second.keep(A, 1);
  await second.keep(B, 0);
  assert.deepEqual(readdirSync(directory), []);
});

test('what is not mounted any more, half written, or of a dockerd of before is forgotten', async (t) => {
  const { directory, open } = place(t);
  const counts = await open([A, B]);
  await counts.keep(A, 2);
  await counts.keep(B, 5);
  writeFileSync(join(directory, '.c'), '7');
  assert.deepEqual([...(await open([B])).found], [[B, 5]]);
  assert.deepEqual(readdirSync(directory), ['b']);
  assert.deepEqual([...(await open([B], false)).found], [[B, 1]]);
  assert.deepEqual(readdirSync(directory), []);
});

test('a number on its way to disk takes no other layer’s place, whatever that is called', async (t) => {
  const { directory, open } = place(t);
  const other = 'a.tmp' as LayerId;
  const counts = await open([A, other]);
  await counts.keep(other, 5);
  await counts.keep(A, 2);
  assert.deepEqual(readdirSync(directory).sort(), ['a', 'a.tmp']);
  writeFileSync(join(directory, '.a'), '7');
  assert.deepEqual(
    [...(await open([A, other])).found],
    [
      [A, 2],
      [other, 5],
    ],
  );
  assert.deepEqual(readdirSync(directory).sort(), ['a', 'a.tmp']);
});

test('what is no whole number above one stands for one, and goes', async (t) => {
  const { directory, open } = place(t);
  await (await open([A])).keep(A, 2);
  for (const text of ['0', '1', '', '-3', '2.5', '1e15', '0x10', ' 2', '2\n', 'x', '9'.repeat(15), '\0\0']) {
    writeFileSync(join(directory, 'a'), text);
    assert.deepEqual([...(await open([A])).found], [[A, 1]], JSON.stringify(text));
    assert.deepEqual(readdirSync(directory), []);
  }
  writeFileSync(join(directory, 'a'), '12');
  assert.deepEqual([...(await open([A])).found], [[A, 12]]);
});

test('what is no file is no number: directories are told and stay, the rest goes', async (t) => {
  const { directory, open, warnings } = place(t);
  mkdirSync(join(directory, 'a/below'), { recursive: true });
  mkdirSync(join(directory, 'of-nobody'));
  symlinkSync('/dev/zero', join(directory, 'b'));
  const { found, keep } = await open([A, B]);
  assert.deepEqual(
    [...found],
    [
      [A, 1],
      [B, 1],
    ],
  );
  assert.deepEqual(readdirSync(directory).sort(), ['a', 'of-nobody']);
  assert.deepEqual(
    warnings.sort(),
    ['a', 'of-nobody'].map(
      (name) => `${directory}/${name} is a directory among numbers of uses; move it away`,
    ),
  );
  await assert.rejects(keep(A, 2), { layer: 'a' });
  await keep(B, 2);
  assert.equal(readFileSync(join(directory, 'b'), 'latin1'), '2');
});

test('a file in the place of their directory is told with what to do', async (t) => {
  const { directory, open } = place(t);
  writeFileSync(directory, '');
  await assert.rejects(open([A]), {
    code: 'failed_precondition',
    message: `${directory} is no directory; move it away, and a new one is made`,
  });
});

test('what many calls count at once is written once, and none is answered before', async (t) => {
  const { directory, open, written } = place(t);
  const { keep } = await open([A]);
  const onDisk = async (uses: number) => {
    await keep(A, uses);
    return readFileSync(join(directory, 'a'), 'latin1');
  };
  assert.deepEqual(await Promise.all([2, 3, 4, 5].map(onDisk)), ['2', '5', '5', '5']);
  assert.deepEqual(written, ['2', '5']);
  const gone = keep(A, 1);
  assert.equal(await onDisk(2), '2');
  await gone;
  assert.deepEqual(written, ['2', '5', '2']);
});

test('a count that cannot be kept is told with its layer', async (t) => {
  const { directory, open } = place(t);
  const counts = await open([A]);
  await counts.keep(A, 2);
  writeFileSync(join(directory, 'x'), '');
  await assert.rejects(counts.keep('x/y' as LayerId, 2), {
    layer: 'x/y',
    message: /keep the number of uses/,
  });
  const [failed, next] = [counts.keep('x/y' as LayerId, 2), counts.keep('x/y' as LayerId, 3)];
  await assert.rejects(failed);
  await assert.rejects(next, { layer: 'x/y' });
  await counts.keep(A, 3);
  assert.equal(readFileSync(join(directory, 'a'), 'latin1'), '3');
});
