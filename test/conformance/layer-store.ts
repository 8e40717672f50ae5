/** What every LayerStore keeps: run over the one on disk and over the fake. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { ThinlayerError } from '../../src/core/errors.js';
import type { ErrorCode } from '../../src/core/errors.js';
import { parseLayerId } from '../../src/core/model.js';
import type { LayerId, LayerRecord } from '../../src/core/model.js';
import type { LayerStore } from '../../src/core/ports.js';

export interface StoreHarness {
  readonly store: LayerStore;
  /** Closes it, and opens what it left. Undefined for a store that keeps nothing. */
  reopen?(): Promise<LayerStore>;
  cleanup(): Promise<void>;
}

/** A record as an actor makes it: the store gives it a link. */
export function newRecord(
  id: string,
  parent: string | null = null,
  more: Partial<LayerRecord> = {},
): LayerRecord {
  return {
    version: 1,
    id: parseLayerId(id),
    parent: parent === null ? null : parseLayerId(parent),
    kind: 'image',
    state: 'created',
    link: '',
    size: null,
    quota: null,
    mountLabel: null,
    ...more,
  };
}

export function refusal(code: ErrorCode, text = /./): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof ThinlayerError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, text);
    return true;
  };
}

const A = parseLayerId('a');
const B = parseLayerId('b');

export function layerStoreSuite(name: string, open: () => Promise<StoreHarness>): void {
  const check = (title: string, body: (harness: StoreHarness) => Promise<void>): void => {
    test(title, async () => {
      const harness = await open();
      try {
        await body(harness);
      } finally {
        await harness.cleanup();
      }
    });
  };

  describe(`LayerStore: ${name}`, () => {
    check('an unknown layer is undefined, has no children, is not broken', async ({ store }) => {
      assert.equal(store.get(A), undefined);
      assert.equal(store.hasChildren(A), false);
      assert.deepEqual([...store.list()], []);
      assert.deepEqual([...store.broken()], []);
      assert.throws(() => store.links(A), refusal('not_found', /a/));
    });

    check('create answers what get answers, with a link of its own', async ({ store }) => {
      const made = await store.create(
        newRecord('a', null, { kind: 'container', quota: 4096, mountLabel: 'x:y' }),
      );
      assert.match(made.record.link, /^[A-Z2-7]{26}$/);
      assert.deepEqual(made.record, {
        ...newRecord('a', null, { kind: 'container', quota: 4096, mountLabel: 'x:y' }),
        link: made.record.link,
      });
      assert.deepEqual(store.get(A), made);
      assert.deepEqual([made.committed, made.lowers], [false, []]);
      assert.equal(made.paths.diff, `${made.paths.root}/diff`);
    });

    check('create keeps a link that it is given', async ({ store }) => {
      const link = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ';
      assert.equal((await store.create(newRecord('a', null, { link }))).record.link, link);
    });

    check('chains: lowers and links are uppermost first, a parent is committed', async ({ store }) => {
      for (const [id, parent] of [
        ['a', null],
        ['b', 'a'],
        ['c', 'b'],
      ] as const)
        await store.create(newRecord(id, parent));
      const [a, b, c] = ['a', 'b', 'c'].map((id) => store.get(parseLayerId(id)));
      assert.deepEqual(c?.lowers, [b?.paths.diff, a?.paths.diff]);
      assert.deepEqual([a?.committed, b?.committed, c?.committed], [true, true, false]);
      const links = store.links(parseLayerId('c'));
      assert.ok(links.own.endsWith(`/l/${c?.record.link}`));
      assert.deepEqual(
        links.lowers.map((lower) => String(lower).split('/').at(-1)),
        [b?.record.link, a?.record.link],
      );
      assert.deepEqual(
        [store.hasChildren(A), store.hasChildren(B), store.hasChildren(parseLayerId('c'))],
        [true, true, false],
      );
      assert.deepEqual([...store.list()].map((info) => info.record.id).sort(), ['a', 'b', 'c']);
    });

    check('create refuses an id that exists, a parent that does not', async ({ store }) => {
      await store.create(newRecord('a'));
      await assert.rejects(store.create(newRecord('a')), refusal('already_exists', /a/));
      await assert.rejects(store.create(newRecord('b', 'nobody')), refusal('not_found', /nobody/));
      await assert.rejects(store.create(newRecord('b', 'b')), refusal('not_found', /b/));
      await assert.rejects(
        store.create(newRecord('c', null, { link: 'x' })),
        refusal('invalid_argument', /link/),
      );
      await assert.rejects(
        store.create({ ...newRecord('d'), id: '../d' as LayerId }),
        refusal('invalid_argument'),
      );
      assert.deepEqual([...store.list()].length, 1);
    });

    check('update replaces the record, but not what the layer is', async ({ store }) => {
      const { record } = await store.create(newRecord('a'));
      await store.create(newRecord('b', 'a'));
      await store.update({ ...record, state: 'applied', size: 12 });
      assert.deepEqual(store.get(A)?.record, { ...record, state: 'applied', size: 12 });
      assert.equal(store.get(A)?.committed, true);
      await assert.rejects(store.update({ ...record, parent: B }), refusal('invalid_argument', /parent/));
      await assert.rejects(
        store.update({ ...record, link: 'ABCDEFGHIJKLMNOPQRSTUVWXYZ' }),
        refusal('invalid_argument', /link/),
      );
      await assert.rejects(store.update(newRecord('x')), refusal('not_found', /x/));
    });

    check('a staging is committed once, with its record', async ({ store }) => {
      const { record } = await store.create(newRecord('a'));
      const staging = await store.stage(A);
      assert.notEqual(staging.path, store.get(A)?.paths.diff);
      assert.equal(store.get(A)?.record.state, 'created');
      await staging.commit({ ...record, state: 'applied', size: 7 });
      assert.deepEqual(store.get(A)?.record, { ...record, state: 'applied', size: 7 });
      await assert.rejects(staging.commit(record), refusal('aborted'));
      await staging.discard();
      assert.equal(store.get(A)?.record.state, 'applied');
    });

    check('a staging that was discarded, or replaced by another, is aborted', async ({ store }) => {
      const { record } = await store.create(newRecord('a'));
      const first = await store.stage(A);
      const second = await store.stage(A);
      await assert.rejects(first.commit(record), refusal('aborted'));
      await first.discard();
      await second.discard();
      await second.discard();
      await assert.rejects(second.commit(record), refusal('aborted'));
      assert.deepEqual(store.get(A)?.record, record);
      await assert.rejects(store.stage(B), refusal('not_found', /b/));
    });

    check('remove: children first; again, and of an unknown layer, is a success', async ({ store }) => {
      await store.create(newRecord('a'));
      await store.create(newRecord('b', 'a'));
      await assert.rejects(store.remove(A), refusal('failed_precondition', /children/));
      await store.remove(B);
      assert.equal(store.hasChildren(A), false);
      assert.equal(store.get(A)?.committed, true);
      await store.remove(A);
      await store.remove(A);
      assert.deepEqual([...store.list()], []);
      await store.create(newRecord('a'));
      assert.equal(store.get(A)?.committed, false);
    });

    check('a child and the removal of its parent: one of the two is refused', async ({ store }) => {
      await store.create(newRecord('a'));
      const first = await Promise.allSettled([store.create(newRecord('b', 'a')), store.remove(A)]);
      assert.deepEqual(
        first.map((r) => r.status),
        ['fulfilled', 'rejected'],
      );
      await store.remove(B);
      const second = await Promise.allSettled([store.remove(A), store.create(newRecord('b', 'a'))]);
      assert.deepEqual(
        second.map((r) => r.status),
        ['fulfilled', 'rejected'],
      );
      assert.equal(store.get(B), undefined);
    });

    check('the same layer created and removed at once ends as the calls came', async ({ store }) => {
      const results = await Promise.allSettled([
        store.create(newRecord('a')),
        store.create(newRecord('a')),
        store.remove(A),
        store.create(newRecord('a')),
      ]);
      assert.deepEqual(
        results.map((r) => r.status),
        ['fulfilled', 'rejected', 'fulfilled', 'fulfilled'],
      );
      assert.equal(store.get(A)?.record.id, 'a');
    });

    check('reload answers the layer, undefined for an unknown one', async ({ store }) => {
      await store.create(newRecord('a'));
      const b = await store.create(newRecord('b', 'a'));
      assert.deepEqual(await store.reload(B), b);
      assert.deepEqual(store.get(B), b);
      assert.equal(store.hasChildren(A), true);
      assert.equal(await store.reload(parseLayerId('x')), undefined);
    });

    check('a closed store refuses changes; close again is a success', async ({ store }) => {
      await store.close();
      await store.close();
      await assert.rejects(store.create(newRecord('a')), refusal('unavailable', /closed/));
    });

    check('what was acknowledged is there after a restart', async ({ store, reopen }) => {
      if (!reopen) return;
      await store.create(newRecord('a'));
      const { record } = await store.create(newRecord('b', 'a', { kind: 'container', mountLabel: 'l' }));
      await store.update({ ...record, quota: 5 });
      await store.create(newRecord('c', 'a'));
      await store.remove(parseLayerId('c'));
      const before = [...store.list()];
      const again = await reopen();
      const byId = (x: { record: LayerRecord }, y: { record: LayerRecord }) =>
        x.record.id < y.record.id ? -1 : 1;
      assert.deepEqual([...again.list()].sort(byId), before.sort(byId));
      assert.equal(again.hasChildren(A), true);
    });
  });
}
