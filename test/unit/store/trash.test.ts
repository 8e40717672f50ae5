/** The deletion of removed layers, and the closing of a home while it lasts. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdir, readdir, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';

import { parseLayerId } from '../../../src/core/model.js';
import type { Disk } from '../../../src/core/disk.js';
import { newRecord } from '../../conformance/layer-store.js';
import { realDisk } from './disks.js';
import { withHome } from './home.js';

const A = parseLayerId('a');
const B = parseLayerId('b');

/** Each deletion takes for ever, until it is cancelled. `begun`: what was to be deleted; `events`: in which order what ended. */
function endlessDisk(events: string[]): { disk: Disk; begun: string[] } {
  const begun: string[] = [];
  const disk: Disk = {
    change: (changes) => realDisk.change(changes),
    async removeTree(path, { signal } = {}) {
      begun.push(path);
      assert.ok(signal);
      if (!signal.aborted) await once(signal, 'abort');
      events.push('deletion ended');
      throw Object.assign(new Error('ECANCELED'), { code: 'ECANCELED' });
    },
  };
  return { disk, begun };
}

test(
  'closing ends the deletion before it gives the lock back, and leaves the rest to the next opening',
  withHome(async ({ home, open }) => {
    const events: string[] = [];
    const { disk, begun } = endlessDisk(events);
    const lock = async () => async () => void events.push('unlocked');
    const first = await open({ disk, lock });
    for (const id of [A, B]) {
      await first.store.create(newRecord(id));
      await writeFile(join(home, id, 'diff/file'), id);
      await first.store.remove(id);
    }
    await first.store.close();
    assert.deepEqual(events, ['deletion ended', 'unlocked']);
    assert.equal(begun.length, 1);
    assert.equal((await readdir(join(home, '.trash'))).length, 2);
    assert.deepEqual(first.complaints, []);

    const second = await open();
    await second.finish();
    assert.deepEqual(second.complaints, []);
    assert.deepEqual(await readdir(join(home, '.trash')), []);
  }),
);

test(
  'an opening that fails deletes no longer when the lock is given back',
  withHome(async ({ home, open }) => {
    const first = await open({ disk: endlessDisk([]).disk });
    await first.store.create(newRecord('a'));
    await first.store.remove(A);
    await first.store.close();
    await mkdir(join(home, 'broken/foreign'), { recursive: true });
    const fail = () => {
      throw new Error('the opening fails');
    };
    const log = { info: () => undefined, warn: fail, error: fail };
    const events: string[] = [];
    const lock = async () => async () => void events.push('unlocked');
    await assert.rejects(open({ disk: endlessDisk(events).disk, lock, log }), /the opening fails/);
    assert.deepEqual(events, ['deletion ended', 'unlocked']);
  }),
);

test(
  'a layer is made and removed again while the same one of an earlier opening is still in the trash',
  withHome(async ({ home, open }) => {
    for (let opening = 1; opening <= 3; opening++) {
      const { store } = await open({ disk: endlessDisk([]).disk });
      await store.create(newRecord('a'));
      await writeFile(join(home, 'a/diff/file'), '');
      await store.remove(A);
      await store.close();
      assert.equal((await readdir(join(home, '.trash'))).length, opening);
    }
  }),
);

test(
  'a trash that was deleted meanwhile is made anew, and no layer is taken for removed that is there still',
  withHome(async ({ home, open }) => {
    const { store, finish, complaints } = await open();
    for (const id of [A, B]) {
      await store.create(newRecord(id));
      await writeFile(join(home, id, 'diff/file'), id);
    }
    await rmdir(join(home, '.trash'));
    await Promise.all([store.remove(A), store.remove(B)]);
    assert.deepEqual(
      (await readdir(home)).filter((name) => name === A || name === B),
      [],
    );
    await finish();
    assert.deepEqual(await readdir(join(home, '.trash')), []);
    assert.deepEqual(complaints, []);
  }),
);
