/** Homes on disk that a crash, a power cut or Docker's own driver left. */

import assert from 'node:assert/strict';
import { mkdir, readFile, readdir, readlink, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';

import { parseLayerId } from '../../../src/core/model.js';
import type { LayerId } from '../../../src/core/model.js';
import type { LayerStore } from '../../../src/core/ports.js';
import { newRecord, refusal } from '../../conformance/layer-store.js';
import { listing, withHome } from './home.js';

const A = parseLayerId('a');
const B = parseLayerId('b');
const C = parseLayerId('c');

/** As moby's overlay2 creates a layer. */
async function dockerLayer(home: string, id: string, link: string, lowers: readonly string[]): Promise<void> {
  await mkdir(join(home, 'l'), { recursive: true });
  await mkdir(join(home, id, 'diff'), { recursive: true });
  await symlink(`../${id}/diff`, join(home, 'l', link));
  await writeFile(join(home, id, 'link'), link);
  if (lowers.length === 0) return;
  await mkdir(join(home, id, 'work'));
  await writeFile(join(home, id, 'lower'), lowers.map((lower) => `l/${lower}`).join(':'));
}

async function chainOfThree(store: LayerStore): Promise<void> {
  await store.create(newRecord('a'));
  await store.create(newRecord('b', 'a'));
  await store.create(newRecord('c', 'b'));
}

const [LINK_A, LINK_B] = ['A', 'B'].map((letter) => letter.repeat(26)) as [string, string];

test(
  "a home of Docker's driver is read, and stays as it is until a layer is changed",
  withHome(async ({ home, open }) => {
    await dockerLayer(home, 'a', LINK_A, []);
    await writeFile(join(home, 'a/committed'), '');
    await dockerLayer(home, 'b', LINK_B, [LINK_A]);
    await writeFile(join(home, 'b/diff/file'), 'x');
    const before = await listing(join(home, 'b'));
    const { store } = await open();
    assert.deepEqual(store.get(B)?.lowers, [store.get(A)?.paths.diff]);
    assert.deepEqual([store.get(A)?.committed, store.get(B)?.committed], [true, false]);
    assert.deepEqual(store.links(B), { own: join(home, 'l', LINK_B), lowers: [join(home, 'l', LINK_A)] });
    assert.deepEqual(await listing(join(home, 'b')), before);

    await store.create(newRecord('c', 'b'));
    assert.equal(await readFile(join(home, 'c/lower'), 'utf8'), `l/${LINK_B}:l/${LINK_A}`);
    const b = store.get(B);
    assert.ok(b);
    await store.update({ ...b.record, size: 1 });
    await store.close();
    const again = await open();
    assert.equal(again.store.get(B)?.record.size, 1);
    await again.store.close();
  }),
);

test(
  'modes and names are those of overlay2',
  withHome(async ({ home, open }) => {
    const { store } = await open();
    await chainOfThree(store);
    const modes = async (...paths: string[]) =>
      Promise.all(paths.map(async (path) => ((await stat(join(home, path))).mode & 0o7777).toString(8)));
    assert.deepEqual(
      await modes('', 'l', '.trash', 'b', 'b/diff', 'b/work', 'b/link', 'b/lower', 'b/committed'),
      ['710', '700', '700', '710', '755', '700', '644', '644', '600'],
    );
    const { link } = store.get(B)?.record ?? { link: '' };
    assert.equal(await readlink(join(home, 'l', link)), '../b/diff');
    assert.deepEqual((await readdir(join(home, 'a'))).sort(), ['committed', 'diff', 'layer.json', 'link']);
    await store.close();
  }),
);

test(
  'directories belong to the mapped root',
  { skip: process.getuid?.() === 0 ? false : 'needs root to change owners' },
  withHome(async ({ home, open }) => {
    const map = [{ containerId: 0, hostId: 100000, size: 65536 }];
    const { store } = await open({ idMaps: { uids: map, gids: map } });
    await store.create(newRecord('a'));
    await store.create(newRecord('b', 'a'));
    const staging = await store.stage(B);
    const owners = async (...paths: string[]) =>
      Promise.all(paths.map(async (path) => stat(path).then(({ uid, gid }) => [uid, gid])));
    const paths = ['', 'b', 'b/diff', 'b/work', 'l'].map((path) => join(home, path));
    assert.deepEqual(await owners(...paths, staging.path), [
      [0, 100000],
      [0, 100000],
      [100000, 100000],
      [100000, 100000],
      [0, 0],
      [100000, 100000],
    ]);
    await store.close();
  }),
);

test(
  'id maps without a root are refused',
  withHome(async ({ open }) => {
    const map = [{ containerId: 1, hostId: 100000, size: 10 }];
    await assert.rejects(open({ idMaps: { uids: map, gids: map } }), refusal('invalid_argument', /id 0/));
  }),
);

test(
  'what was derived is rebuilt from the record',
  withHome(async ({ home, open }) => {
    const first = await open();
    await chainOfThree(first.store);
    await first.store.close();
    const before = await listing(home);
    await rm(join(home, 'l'), { recursive: true });
    for (const file of ['a/link', 'b/lower', 'c/lower']) await truncate(join(home, file));
    for (const file of ['b/link', 'a/committed']) await rm(join(home, file));
    const second = await open();
    await second.store.close();
    assert.deepEqual(await listing(home), before);
  }),
);

test(
  'one damaged record breaks its layer and what stands on it, nothing else; reload mends',
  withHome(async ({ home, open }) => {
    const first = await open();
    await chainOfThree(first.store);
    await first.store.create(newRecord('other'));
    await first.store.close();
    const path = join(home, 'b/layer.json');
    const record = await readFile(path, 'utf8');
    await writeFile(path, record.replace('"version": 1', '"version": 9'));

    const { store, complaints } = await open();
    assert.deepEqual([...store.list()].map((info) => info.record.id).sort(), ['a', 'other']);
    assert.deepEqual([...store.broken().keys()], [B, C]);
    assert.match(store.broken().get(C) ?? '', /its ancestor b is broken: .*version 9/);
    assert.equal(complaints.length, 2);
    assert.throws(() => store.links(C), refusal('data_loss', /version 9/));
    await assert.rejects(store.create(newRecord('d', 'b')), refusal('failed_precondition', /version 9/));
    await assert.rejects(store.create(newRecord('b')), refusal('already_exists'));
    await assert.rejects(store.reload(B), refusal('data_loss', /version 9/));

    await writeFile(path, record);
    assert.equal((await store.reload(B))?.record.parent, 'a');
    assert.deepEqual([...store.broken()], []);
    assert.equal(store.get(C)?.lowers.length, 2);
    await assert.rejects(store.remove(B), refusal('failed_precondition', /children/));
    await store.close();
  }),
);

test(
  'a missing parent, a circle: told; such layers can be removed',
  withHome(async ({ home, open }) => {
    const first = await open();
    await chainOfThree(first.store);
    await first.store.close();
    await rm(join(home, 'a'), { recursive: true });
    const second = await open();
    assert.match(second.store.broken().get(C) ?? '', /a is missing/);
    assert.match(second.store.broken().get(B) ?? '', /parent a is missing/);
    await second.store.remove(C);
    await second.store.remove(B);
    assert.deepEqual([...second.store.broken()], []);
    await second.store.create(newRecord('b'));
    await second.store.create(newRecord('c', 'b'));
    await second.store.close();
    const path = join(home, 'b/layer.json');
    await writeFile(path, (await readFile(path, 'utf8')).replace('"parent": null', '"parent": "c"'));
    const third = await open();
    assert.match(third.store.broken().get(B) ?? '', /circle/);
    assert.deepEqual([...third.store.list()], []);
    await third.store.close();
  }),
);

test(
  'mounted layers of which nothing is known are told',
  withHome(async ({ open }) => {
    const { store } = await open({ mounted: async () => new Set([A]) });
    assert.deepEqual(store.orphans, [A]);
    await store.close();
  }),
);

test(
  'the lock is taken before anything is mended, and given back at the end',
  withHome(async ({ home, open }) => {
    const events: string[] = [];
    const lock = async (path: string) => {
      events.push(`lock ${path}`);
      return async () => void events.push('unlock');
    };
    const mounted = async () => {
      events.push('mountinfo');
      return new Set<LayerId>();
    };
    const { store } = await open({ lock, mounted });
    await store.close();
    await store.close();
    assert.deepEqual(events, [`lock ${home}/.lock`, 'mountinfo', 'unlock']);
    const busy = () => Promise.reject(Object.assign(new Error('EAGAIN: held'), { code: 'EAGAIN' }));
    await assert.rejects(open({ lock: busy }), refusal('unavailable', /held/));
  }),
);

test(
  'records, data, off: what is synced before the answer',
  withHome(async ({ open }) => {
    const synced: string[] = [];
    const syncfs = async (path: string) => void synced.push(path);
    for (const sync of ['records', 'off', 'data'] as const) {
      const { store } = await open({ sync, syncfs });
      const { record } = await store.create(newRecord(sync));
      await (await store.stage(record.id)).commit({ ...record, state: 'applied' });
      await store.close();
    }
    assert.equal(synced.length, 1);
  }),
);

test(
  'two hundred layers at once, on a few parents',
  withHome(async ({ home, open }) => {
    const { store, finish } = await open();
    const ids = Array.from({ length: 200 }, (_, i) => `layer${i}`);
    for (const base of ['base0', 'base1']) await store.create(newRecord(base));
    await Promise.all(
      ids.map(async (id, i) => {
        const { record } = await store.create(newRecord(id, `base${i % 2}`));
        const staging = await store.stage(record.id);
        await writeFile(join(staging.path, 'file'), id);
        await staging.commit({ ...record, state: 'applied', size: id.length });
        assert.equal(await readFile(join(home, id, 'diff/file'), 'utf8'), id);
        if (i % 4 !== 0) await store.remove(record.id);
      }),
    );
    assert.equal([...store.list()].length, 52);
    const before = [...store.list()];
    await finish();
    assert.equal((await readdir(join(home, 'l'))).length, 52);
    assert.deepEqual(await readdir(join(home, '.trash')), []);
    const again = await open();
    assert.equal([...again.store.list()].length, before.length);
    for (const id of ids) await again.store.remove(parseLayerId(id));
    for (const base of ['base0', 'base1']) await again.store.remove(parseLayerId(base));
    await again.finish();
    assert.deepEqual((await readdir(home)).sort(), ['.trash', 'l']);
    assert.deepEqual(await readdir(join(home, 'l')), []);
  }),
);
