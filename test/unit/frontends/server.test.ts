/** Bad requests, translated calls, and connections that carry on. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ThinlayerError } from '../../../src/core/errors.js';
import type { ErrorCode } from '../../../src/core/errors.js';
import { STATUS } from '../../../src/frontends/graphdriver/wire.js';
import { chunk, dockerApply, dockerRequest } from '../../fakes/raw-connection.js';
import { callOnce, withDriver } from './driver.js';

const CREATE = 'GraphDriver.Create';

test('each call reaches the service with its fields', async () => {
  const done = async () => undefined;
  const service = {
    create: done,
    remove: done,
    detach: done,
    cleanup: done,
    attach: async () => '/m',
    changes: async () => [],
    size: async () => 1,
    stat: () => undefined,
  };
  await withDriver(service, async (driver) => {
    const both = { ID: 'a', Parent: 'b' };
    await callOnce(driver, 'GraphDriver.Create', { ID: 'a' });
    await callOnce(driver, 'GraphDriver.CreateReadWrite', {
      ...both,
      MountLabel: 'l',
      StorageOpt: { size: '1G' },
    });
    await callOnce(driver, 'GraphDriver.Create', {
      ID: 'a',
      Parent: '',
      MountLabel: '',
      StorageOpt: {},
      More: 1,
    });
    await callOnce(driver, 'GraphDriver.Get', { ID: 'a', MountLabel: 'l' });
    await callOnce(driver, 'GraphDriver.Get', { ID: 'a' });
    await callOnce(driver, 'GraphDriver.Put', { ID: 'a' });
    await callOnce(driver, 'GraphDriver.Remove', { ID: 'a' });
    await callOnce(driver, 'GraphDriver.Changes', both);
    await callOnce(driver, 'GraphDriver.DiffSize', { ID: 'a' });
    const exists = await callOnce(driver, 'GraphDriver.Exists', { ID: 'a' });
    await callOnce(driver, 'GraphDriver.Cleanup', {});
    assert.deepEqual(exists.json, { Exists: false });
    assert.deepEqual(driver.service.calls, [
      ['create', 'a', null, 'image', {}],
      ['create', 'a', 'b', 'container', { mountLabel: 'l', storageOptions: { size: '1G' } }],
      ['create', 'a', null, 'image', {}],
      ['attach', 'a', 'l'],
      ['attach', 'a', null],
      ['detach', 'a'],
      ['remove', 'a'],
      ['changes', 'a', 'b'],
      ['size', 'a', null],
      ['stat', 'a'],
      ['cleanup'],
    ]);
  });
});

test('Init is understood with and without id maps', async () => {
  await withDriver({}, async (driver) => {
    const map = { container_id: 0, host_id: 100_000, size: 65_536 };
    await callOnce(driver, 'GraphDriver.Init', { Home: '/h/', Opts: null, UIDMaps: null, GIDMaps: null });
    await callOnce(driver, 'GraphDriver.Init', { Home: '/h', Opts: ['A=b'], UIDMaps: [map], GIDMaps: [map] });
    const range = { containerId: 0, hostId: 100_000, size: 65_536 };
    assert.deepEqual(driver.inits, [
      { home: '/h', options: [], uids: [], gids: [] },
      { home: '/h', options: ['A=b'], uids: [range], gids: [range] },
    ]);
  });
});

test('an Init that makes no sense is refused', async () => {
  await withDriver({}, async (driver) => {
    const map = { container_id: 0, host_id: 0, size: 1 };
    const bad = [
      {},
      { Home: 'relative' },
      { Home: 7 },
      { Home: '/h', Opts: 'a=b' },
      { Home: '/h', Opts: [1] },
      { Home: '/h', UIDMaps: {} },
      { Home: '/h', UIDMaps: [null] },
      { Home: '/h', UIDMaps: [{ ...map, size: 0 }] },
      { Home: '/h', GIDMaps: [{ ...map, host_id: -1 }] },
      { Home: '/h', GIDMaps: [{ ...map, host_id: 2 ** 32 }] },
      { Home: '/h', GIDMaps: [{ ...map, host_id: '0' }] },
    ];
    for (const fields of bad) {
      const { status, json } = await callOnce(driver, 'GraphDriver.Init', fields);
      assert.equal(status, 400, JSON.stringify(fields));
      assert.equal(typeof json['Err'], 'string');
    }
    assert.deepEqual(driver.inits, []);
  });
});

test('calls without fields take an empty body', async () => {
  await withDriver({ status: () => [['a', 'b']], cleanup: async () => undefined }, async (driver) => {
    assert.deepEqual((await callOnce(driver, 'Plugin.Activate', undefined)).json, {
      Implements: ['GraphDriver'],
    });
    assert.deepEqual((await callOnce(driver, 'GraphDriver.Status', undefined)).json, {
      Status: [['a', 'b']],
    });
    assert.deepEqual((await callOnce(driver, 'GraphDriver.Cleanup', undefined)).json, {});
    assert.deepEqual((await callOnce(driver, 'GraphDriver.Capabilities', undefined)).json, {
      Capabilities: { ReproducesExactDiffs: false },
    });
  });
});

test('bodies that are no JSON object are refused, and the connection carries the next call', async () => {
  await withDriver({ create: async () => undefined }, async ({ connect, service }) => {
    const connection = await connect();
    for (const body of ['', '{', '"x"', '[]', 'null', '7', '{"ID":"a"', '\0\0', `{"ID":"${'a'.repeat(9)}`]) {
      connection.send(dockerRequest(CREATE, body));
      const { status, body: answer } = await connection.answer();
      assert.equal(status, 400, body);
      assert.equal(typeof (JSON.parse(answer) as { Err: unknown }).Err, 'string');
    }
    connection.call(CREATE, { ID: 'a' });
    assert.equal((await connection.answer()).status, 200);
    assert.deepEqual(service.calls, [['create', 'a', null, 'image', {}]]);
    connection.close();
  });
});

test('a huge body is refused without being kept', async () => {
  await withDriver({ create: async () => undefined }, async ({ connect }) => {
    const connection = await connect();
    connection.call(CREATE, { ID: 'a', More: 'x'.repeat(3 * 1024 * 1024) });
    const { status, body } = await connection.answer();
    assert.deepEqual([status, /larger than/.test(body)], [400, true]);
    connection.call(CREATE, { ID: 'a' });
    assert.equal((await connection.answer()).status, 200);
    connection.close();
  });
});

test('ids that are no plain names are refused by every call', async () => {
  await withDriver({}, async (driver) => {
    const calls = [
      'Create',
      'CreateReadWrite',
      'Remove',
      'Get',
      'Put',
      'Exists',
      'GetMetadata',
      'Diff',
      'Changes',
      'DiffSize',
    ];
    const connection = await driver.connect();
    for (const id of ['', '..', '.', 'a/b', '../../etc', 'l', 'a'.repeat(10_240), 7, null, ['a']]) {
      for (const call of calls) {
        connection.call(`GraphDriver.${call}`, { ID: id });
        const { status, body } = await connection.answer();
        assert.equal(status, 400, `${call} ${JSON.stringify(id)}`);
        assert.ok(body.length < 500);
      }
    }
    connection.close();
    for (const parent of ['a/b', '..', 7]) {
      assert.equal((await callOnce(driver, CREATE, { ID: 'a', Parent: parent })).status, 400);
    }
    for (const storage of ['size=1G', ['size'], { size: 1 }]) {
      assert.equal((await callOnce(driver, CREATE, { ID: 'a', StorageOpt: storage })).status, 400);
    }
    assert.deepEqual(driver.service.calls, []);
  });
});

test('unknown calls and other verbs are not found', async () => {
  await withDriver({}, async (driver) => {
    const unknown = [
      'GraphDriver.Nothing',
      '',
      'constructor',
      '__proto__',
      'graphdriver.create',
      'x'.repeat(1000),
    ];
    for (const method of unknown) {
      const { status, json } = await callOnce(driver, method, {});
      assert.equal(status, 404, method);
      assert.match(String(json['Err']), /^unknown call/);
    }
    const connection = await driver.connect();
    connection.send('GET /GraphDriver.Status HTTP/1.1\r\nHost: \r\n\r\n');
    assert.equal((await connection.answer()).status, 404);
    connection.close();
  });
});

test('every class of error has its status and carries its message', async () => {
  for (const [code, status] of Object.entries(STATUS) as [ErrorCode, number][]) {
    const attach = () => Promise.reject(new ThinlayerError(code, `no: ${code}`));
    await withDriver({ attach }, async (driver) => {
      const answer = await callOnce(driver, 'GraphDriver.Get', { ID: 'a' });
      assert.deepEqual(answer, { status, whole: true, json: { Err: `no: ${code}` } });
      const [{ method, error } = assert.fail()] = driver.logged;
      assert.deepEqual([method, error?.code], ['GraphDriver.Get', code]);
    });
  }
});

test('a bug in the service is an answer, too', async () => {
  const stat = () => {
    throw new TypeError('undefined is not a function');
  };
  await withDriver({ stat }, async (driver) => {
    const { status, json } = await callOnce(driver, 'GraphDriver.Exists', { ID: 'a' });
    assert.deepEqual([status, json], [500, { Err: 'undefined is not a function' }]);
  });
});

test('metadata of an unknown layer is not found', async () => {
  await withDriver({ stat: () => undefined }, async (driver) => {
    assert.equal((await callOnce(driver, 'GraphDriver.GetMetadata', { ID: 'a' })).status, 404);
  });
});

test('paths of changes are bytes inside and UTF-8 outside', async () => {
  const changes = async () => [
    { path: Buffer.from('/äß').toString('latin1'), kind: 'added' as const },
    { path: '/\xff', kind: 'deleted' as const },
  ];
  await withDriver({ changes }, async (driver) => {
    const { json } = await callOnce(driver, 'GraphDriver.Changes', { ID: 'a' });
    assert.deepEqual(json, {
      Changes: [
        { Path: '/äß', Kind: 1 },
        { Path: '/\ufffd', Kind: 2 },
      ],
    });
  });
});

test('requests sent ahead on one connection are answered in order', async () => {
  await withDriver({ attach: async (id) => `/${id}` }, async ({ connect }) => {
    const connection = await connect();
    for (const id of ['a', 'b', 'c']) connection.call('GraphDriver.Get', { ID: id });
    for (const id of ['a', 'b', 'c']) assert.equal((await connection.answer()).body, `{"Dir":"/${id}"}\n`);
    connection.close();
  });
});

test('ids in the query of ApplyDiff are checked, too', async () => {
  await withDriver({}, async ({ connect, service }) => {
    for (const query of ['', 'id=&parent=', 'id=a/b&parent=', 'id=a&parent=../b', 'parent=a']) {
      const connection = await connect();
      connection.send(dockerApply(query), chunk('x'), chunk(''));
      assert.equal((await connection.answer()).status, 400, query);
      connection.close();
    }
    assert.deepEqual(service.calls, []);
  });
});
