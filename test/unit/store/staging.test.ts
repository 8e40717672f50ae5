/** Archives and layers that are not fresh: what somebody wrote into a layer is never replaced. */

import assert from 'node:assert/strict';
import { chmod, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';

import { parseLayerId } from '../../../src/core/model.js';
import { newRecord, refusal } from '../../conformance/layer-store.js';
import { listing, withHome } from './home.js';

const B = parseLayerId('b');
const HOLDS_FILES = refusal('failed_precondition', /layer b holds files already.*create it again/);

test(
  'nothing is staged for a layer that holds anything, and nothing of it changes',
  withHome(async ({ home, open }) => {
    const { store, finish } = await open();
    await store.create(newRecord('a'));
    await store.create(newRecord('b', 'a'));
    const diff = join(home, 'b/diff');
    for (const make of [() => writeFile(join(diff, '.hidden'), 'kept'), () => mkdir(join(diff, 'empty'))]) {
      await make();
      const before = await listing(home);
      await assert.rejects(store.stage(B), HOLDS_FILES);
      assert.deepEqual(await listing(home), before);
      for (const name of ['.hidden', 'empty']) await rm(join(diff, name), { recursive: true, force: true });
    }
    await (await store.stage(B)).discard();
    await finish();
  }),
);

test(
  'what was written while an archive was unpacked refuses its commit; the layer can be applied once that is gone',
  withHome(async ({ home, open }) => {
    const { store, finish } = await open();
    await store.create(newRecord('a'));
    const { record } = await store.create(newRecord('b', 'a'));
    const staging = await store.stage(B);
    const before = await listing(home);
    await chmod(join(home, 'b/diff'), 0o750);
    await writeFile(join(home, 'b/diff/written'), 'kept');
    await assert.rejects(staging.commit({ ...record, state: 'applied', size: 1 }), HOLDS_FILES);
    assert.deepEqual(store.get(B)?.record, record);
    assert.equal(await readFile(join(home, 'b/diff/written'), 'utf8'), 'kept');
    assert.equal((await stat(join(home, 'b/diff'))).mode & 0o777, 0o750);

    await rm(join(home, 'b/diff/written'));
    await chmod(join(home, 'b/diff'), 0o755);
    assert.deepEqual(await listing(home), before);
    await staging.commit({ ...record, state: 'applied', size: 1 });
    assert.equal(store.get(B)?.record.state, 'applied');
    await finish();
  }),
);
