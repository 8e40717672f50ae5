/** The store beside mounts. Needs CAP_SYS_ADMIN, no addon. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';

import { parseLayerId } from '../../src/core/model.js';
import { newRecord, refusal } from '../conformance/layer-store.js';
import { withHome } from '../unit/store/home.js';

const A = parseLayerId('a');
const skip = process.getuid?.() === 0 ? false : 'needs root to mount';

async function mounted(args: readonly string[], target: string, body: () => Promise<void>): Promise<void> {
  execFileSync('mount', [...args, target]);
  try {
    await body();
  } finally {
    execFileSync('umount', [target]);
  }
}

test(
  'a layer that is mounted is not removed',
  { skip },
  withHome(async ({ home, open }) => {
    const { store, finish } = await open();
    await store.create(newRecord('a'));
    await store.create(newRecord('b', 'a'));
    const info = store.get(parseLayerId('b'));
    assert.ok(info);
    const { diff, work, merged } = info.paths;
    await mkdir(merged);
    const options = `lowerdir=${info.lowers.join(':')},upperdir=${diff},workdir=${work}`;
    await mounted(['-t', 'overlay', 'overlay', '-o', options], merged, async () => {
      await assert.rejects(
        store.remove(info.record.id),
        refusal('failed_precondition', /still mounted.*detach/),
      );
      assert.deepEqual(store.get(info.record.id), info);
      assert.equal(store.hasChildren(A), true);
    });
    await store.remove(info.record.id);
    await finish();
    assert.deepEqual(await readdir(join(home, '.trash')), []);
  }),
);

test(
  'deleting does not enter mounts below a layer, not even of the same file system',
  { skip },
  withHome(async ({ home, open }) => {
    const { store, complaints, finish } = await open();
    await store.create(newRecord('a'));
    const outside = join(home, 'cvmfs');
    const inside = join(home, 'a/diff/inside');
    for (const directory of [outside, inside]) await mkdir(directory);
    await writeFile(join(outside, 'file'), 'kept');
    execFileSync('mount', ['--bind', outside, inside]);
    let trashed = inside;
    try {
      await store.remove(A);
      await finish();
      const [name] = await readdir(join(home, '.trash'));
      trashed = join(home, '.trash', name ?? '', 'diff/inside');
      assert.equal(await readFile(join(outside, 'file'), 'utf8'), 'kept');
      assert.match(
        complaints.join(),
        /diff\/inside: EXDEV .*something is mounted there: unmount it.*next start/,
      );
    } finally {
      execFileSync('umount', [trashed]);
    }
    const again = await open();
    await again.finish();
    assert.deepEqual(await readdir(join(home, '.trash')), []);
    assert.equal(await readFile(join(outside, 'file'), 'utf8'), 'kept');
  }),
);

test(
  'a file that cannot be deleted is told with what to do, and deleted by a later start',
  { skip },
  withHome(async ({ home, open }) => {
    const { store, complaints, finish } = await open();
    await store.create(newRecord('a'));
    await store.create(newRecord('b'));
    const file = join(home, 'a/diff/file');
    await writeFile(file, '');
    execFileSync('chattr', ['+i', file]);
    let trashed = file;
    try {
      await store.remove(A);
      await store.remove(parseLayerId('b'));
      await finish();
      const names = await readdir(join(home, '.trash'));
      assert.equal(names.length, 1);
      trashed = join(home, '.trash', names[0] ?? '', 'diff/file');
      assert.match(complaints.join(), /chattr -i/);
    } finally {
      execFileSync('chattr', ['-i', trashed]);
    }
    const again = await open();
    await again.finish();
    assert.deepEqual(await readdir(join(home, '.trash')), []);
  }),
);
