/** Requests that dockerd would never send: each is answered, nothing is touched, and the daemon serves on. */

import assert from 'node:assert/strict';
import { rename } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';

import { chunk, dockerApply, dockerRequest, RawConnection } from '../fakes/raw-connection.js';
import { manyFiles } from './archives.js';
import { daemonTest } from './daemon.js';
import type { Daemon } from './daemon.js';
import { openDescriptors } from './leaks.js';
import { layerOnDisk, refused, Surroundings } from './refused.js';

const CALLS_WITH_ID = [
  ...['Create', 'CreateReadWrite', 'Get', 'Put', 'Remove', 'Exists'],
  ...['GetMetadata', 'Changes', 'DiffSize', 'Diff'],
];

const BAD_JSON: readonly (readonly [string, RegExp])[] = [
  ['', /no body/],
  ['{', /not JSON/],
  ['\xff\xfe', /not JSON/],
  ['{"ID":"a"', /not JSON/],
  ['['.repeat(500_000), /not JSON/],
  ['[]', /not a JSON object/],
  ['7', /not a JSON object/],
  ['null', /not a JSON object/],
  ['{"ID":7}', /ID must be a string/],
  ['{"ID":["a"]}', /ID must be a string/],
  ['{"ID":"a","Parent":3}', /Parent must be a string/],
  ['{"ID":"a","MountLabel":{}}', /MountLabel must be a string/],
  ['{"ID":"a","StorageOpt":[1]}', /StorageOpt must be an object of strings/],
  ['{"ID":"a","StorageOpt":{"size":3}}', /StorageOpt must be an object of strings/],
  [`${'{"a":'.repeat(150_000)}1${'}'.repeat(150_000)}`, /not a layer id: ""/],
  [`{"ID":"${'a'.repeat(5_000_000)}"}`, /larger than 1048576 bytes/],
];

const BAD_IDS = [
  ...['', '.', '..', 'a/b', '../a', '/a', 'a\0b', 'a\nb', 'a b', '-a', 'ü', '.trash', '.lock'],
  ...['l', 'cvmfs', 'masks', 'a'.repeat(129), 'a'.repeat(10_240)],
];

daemonTest('JSON and ids that are none are refused by every call', async (daemon) => {
  const around = await Surroundings.of(daemon);
  for (const [body, text] of BAD_JSON) {
    await refused(daemon.client.call('Create', Buffer.from(body, 'latin1')), 400, text, body.slice(0, 40));
  }
  for (const id of BAD_IDS) {
    for (const method of CALLS_WITH_ID) {
      await refused(daemon.client.call(method, { ID: id }), 400, /not a layer id/, `${method} ${id}`);
    }
    if (id !== '')
      await refused(daemon.client.call('Create', { ID: 'a', Parent: id }), 400, /not a layer id/, id);
    const query = `ApplyDiff?id=${encodeURIComponent(id)}&parent=`;
    await refused(daemon.client.call(query, await manyFiles('m', 1)), 400, /not a layer id/, id);
  }
  await around.assertUntouched();
});

daemonTest('what is no call at all is answered, and broken HTTP ends its connection', async (daemon) => {
  const before = await openDescriptors(daemon);
  await refused(daemon.client.call('Nonsense', {}), 404, /unknown call "GraphDriver.Nonsense"/);
  await refused(daemon.client.call('x'.repeat(5000), {}), 404, /unknown call ".{80}…"/);
  const head = (line: string) => `${line}\r\nHost: \r\n`;
  const broken: readonly (readonly [string, number])[] = [
    [dockerRequest('GraphDriver.Status', '').replace('POST', 'GET'), 404],
    [dockerRequest('toString', '{}'), 404],
    ['nonsense\r\n\r\n', 400],
    [`${head('POST /GraphDriver.Create HTTP/1.1')}Content-Length: -1\r\n\r\n`, 400],
    [`${head('POST /GraphDriver.Create HTTP/1.1')}Transfer-Encoding: chunked\r\n\r\nzz\r\n`, 400],
    [`${head('POST /GraphDriver.ApplyDiff?id=a HTTP/1.1')}Transfer-Encoding: chunked\r\n\r\nzz\r\n`, 400],
    [`${head('POST /Plugin.Activate HTTP/1.1')}X: ${'x'.repeat(100_000)}\r\n\r\n`, 431],
    ['\0'.repeat(1000), 400],
  ];
  for (const [bytes, status] of broken) {
    const connection = await RawConnection.open(daemon.socket);
    connection.send(bytes);
    assert.equal((await connection.answer()).status, status, JSON.stringify(bytes.slice(0, 60)));
    connection.close();
  }
  assert.deepEqual(await openDescriptors(daemon), before);
  assert.equal(await daemon.client.exists('a'), false);
});

daemonTest('callers that hang up, never end, or come by the thousand', async (daemon) => {
  const { client } = daemon;
  await client.create('base');
  const whole = await layerOnDisk(daemon, 'base');
  const before = await openDescriptors(daemon);
  const slow = await Promise.all(Array.from({ length: 100 }, () => RawConnection.open(daemon.socket)));
  for (const connection of slow)
    connection.send(dockerRequest('GraphDriver.Create', '{"ID":"a"}').slice(0, -3));
  const trickle = await RawConnection.open(daemon.socket);
  trickle.send(dockerApply('id=base&parent='), chunk('a'), chunk('b'));

  for (let opened = 0; opened < 10_000; opened += 200) {
    await Promise.all(Array.from({ length: 200 }, () => openAndClose(daemon, opened % 400 === 0)));
  }
  await client.createReadWrite('other', 'base');
  await client.remove('other');

  for (const connection of [...slow, trickle]) connection.close();
  // It waits for the end of the unpacking before it.
  assert.equal(await client.applyDiff('base', '', await manyFiles('m', 1)), await client.diffSize('base'));
  await client.remove('base');
  await client.create('base');
  assert.deepEqual(withoutNames(await layerOnDisk(daemon, 'base')), withoutNames(whole));
  assert.equal(await client.exists('a'), false);
  assert.deepEqual(await openDescriptors(daemon), before);
});

/** Half of them in the middle of a request. */
async function openAndClose(daemon: Daemon, half: boolean): Promise<void> {
  const socket = connect(daemon.socket);
  await new Promise<void>((resolve, reject) => {
    socket.on('connect', () => {
      if (half) socket.write(dockerRequest('GraphDriver.Create', '{"ID":"a"}').slice(0, 40));
      socket.end();
      socket.resume();
    });
    socket.on('error', reject);
    socket.on('close', () => resolve());
  });
}

/** Links are random, times are those of the making. */
function withoutNames(listing: readonly string[]): string[] {
  return listing.map((line) => line.split(' ').slice(0, 3).join(' '));
}

daemonTest('calls in an order that makes no sense', async (daemon) => {
  const { client } = daemon;
  const around = await Surroundings.of(daemon);
  for (const method of ['Get', 'GetMetadata', 'Changes', 'DiffSize', 'Diff']) {
    await refused(client.call(method, { ID: 'none' }), 404, /layer none does not exist/, method);
  }
  await refused(client.applyDiff('none', '', await manyFiles('m', 1)), 404, /layer none does not exist/);
  // As Docker's own driver: what shall end has ended.
  for (const method of ['Put', 'Remove']) await client.call(method, { ID: 'none' });
  assert.equal(await client.exists('none'), false);

  await refused(client.create('a', 'none'), 404, /layer a cannot be made: its parent none does not exist/);
  await refused(client.create('a', 'a'), 404, /its parent a does not exist/);
  await client.create('base');
  await client.create('base');
  await refused(
    client.createReadWrite('base'),
    409,
    /layer base exists already, with .*kind image.*kind container/,
  );
  await refused(client.create('base', 'other'), 409, /with parent none.*asked for with parent other/);
  await refused(client.create('base', '', { MountLabel: 'x:y:z:s0' }), 409, /no label;.*label x:y:z:s0/);
  await refused(client.applyDiff('base', '', Buffer.alloc(0)), 400, /it is empty/);
  await client.applyDiff('base', '', await manyFiles('base', 3));
  const applied = await layerOnDisk(daemon, 'base');
  await refused(
    client.applyDiff('base', '', await manyFiles('more', 3)),
    412,
    /already holds an applied archive/,
  );
  assert.deepEqual(await layerOnDisk(daemon, 'base'), applied);

  await client.createReadWrite('c', 'base');
  await client.put('c');
  await client.get('c');
  await refused(client.applyDiff('c', 'base', await manyFiles('m', 1)), 412, /layer c is mounted/);
  await refused(client.remove('base'), 412, /layer base cannot be removed: other layers are made on it/);
  assert.deepEqual(await daemon.mounts(), [join(daemon.home, 'c/merged')]);
  // As Docker's own driver of 20.10: dockerd removes only what it no longer uses.
  await client.remove('c');
  await client.put('c');
  await client.remove('base');
  await around.assertUntouched();
});

daemonTest('a layer whose parent was destroyed behind our back', async (daemon) => {
  const { client } = daemon;
  const around = await Surroundings.of(daemon);
  await client.create('base');
  await client.applyDiff('base', '', await manyFiles('base', 3));
  await client.createReadWrite('c', 'base');
  await rename(join(daemon.home, 'base'), daemon.path('taken'));
  await refused(client.get('c'), 500, /mount.*ENOENT.*is gone: bring it back, or remove the image/);
  await refused(client.changes('c', 'base'), 404, /ENOENT/);
  assert.deepEqual(await daemon.mounts(), []);
  await rename(daemon.path('taken'), join(daemon.home, 'base'));
  await client.get('c');
  await client.put('c');
  await client.remove('c');
  await client.remove('base');
  await around.assertUntouched();
});

daemonTest(
  'homes that cannot be are refused, and the next Init succeeds',
  async (daemon) => {
    const { client } = daemon;
    await refused(client.get('a'), 412, /dockerd has not named a home/);
    await refused(client.init('relative/home'), 400, /Home must be an absolute path/);
    await refused(client.init('/a\0b'), 400, /Home must be an absolute path/);
    await refused(client.init(`/tmp/${'x'.repeat(10_000)}`), 400, /ENAMETOOLONG/);
    await refused(client.init(daemon.path('thinlayerd.log')), 409, /EEXIST.*thinlayerd\.log/);
    await refused(client.init(daemon.path('thinlayerd.log/home')), 412, /ENOTDIR/);
    // mkdir says ENOENT there, whatever is above: Node's recursive one never comes back.
    await refused(client.init('/proc/thinlayer/home'), 404, /ENOENT.*\/proc\/thinlayer/);
    await refused(client.get('a'), 404, /no layers can be served, the home could not be opened: .*ENOENT/);
    await client.init(daemon.home);
    assert.equal(await client.exists('a'), false);
  },
  { init: false },
);
