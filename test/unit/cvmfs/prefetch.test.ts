/** Starts against a server: what is recorded, what is fetched ahead, and what a profile can never do. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { deflateSync } from 'node:zlib';

import { hexDigest, objectPath, parseObjectPath } from '../../../src/cvmfs/embedded/object-id.js';
import { formatProfile } from '../../../src/cvmfs/embedded/prefetch/profile.js';
import type { ProfiledObject } from '../../../src/cvmfs/embedded/prefetch/profile.js';
import { ProfileFiles } from '../../../src/cvmfs/embedded/prefetch/profile-files.js';
import { Prefetcher } from '../../../src/cvmfs/embedded/prefetch/prefetcher.js';
import { Starts } from '../../../src/cvmfs/embedded/prefetch/starts.js';
import { signalled } from '../../fakes/signalled.js';
import { waitFor } from '../../system/process.js';
import { clientOf, serverOf, temporaryDirectory } from './client.js';
import type { RepositoryServer } from './server.js';

const LAYERS = ['layers/one'];

/** Objects on the server, each of so many bytes, that no sample repository has. */
function publish(server: RepositoryServer, count: number, size: number): ProfiledObject[] {
  return Array.from({ length: count }, (_, index) => {
    const stored = deflateSync(Buffer.alloc(size, `${index} `));
    const object = objectPath({ algorithm: 'sha1', hex: hexDigest('sha1', stored), kind: '' });
    server.files.set(`data/${object}`, stored);
    return { object, size, compressed: true };
  });
}

async function startsOf(
  t: TestContext,
  server: RepositoryServer,
  { directory = temporaryDirectory(t), limit = Infinity } = {},
) {
  const client = await clientOf(t, 'thin', [server.url], { directory, limit });
  const warnings: string[] = [];
  const { objects, fqrn } = client;
  const log = { info: () => undefined, warn: (_: object, message: string) => warnings.push(message) };
  const starts = new Starts({ fqrn, objects, connections: 16, log, noteUsed: () => undefined });
  t.after(() => starts.close());
  const files = new ProfileFiles(directory);
  const name = files.nameOf(fqrn, LAYERS);
  const read = async ({ object, size, compressed }: ProfiledObject) => {
    const asked = { object, size, compressed, path: `/layers/one/${object}` };
    await starts.duringMiss(asked, () => objects.fetch(parseObjectPath(object), { size, compressed }));
  };
  return { starts, client, files, name, read, warnings, directory };
}

function profileIn(directory: string, name: string, text: string): void {
  mkdirSync(join(directory, 'profiles'), { recursive: true });
  writeFileSync(join(directory, 'profiles', name), text);
}

test('the profile of one machine lets another fetch everything ahead, in parallel', async (t) => {
  const server = await serverOf(t);
  const objects = publish(server, 40, 5000);
  const first = await startsOf(t, server);
  await first.starts.begin('a', LAYERS);
  await first.starts.begin('b', LAYERS);
  for (const object of objects) await first.read(object);
  await first.starts.end('a');
  assert.equal(await first.files.read(first.name), null, 'b goes on');
  await first.starts.end('b');
  assert.deepEqual(await first.files.read(first.name), objects);

  const second = await startsOf(t, server);
  profileIn(second.directory, second.name, readFileSync(first.files.pathOf(first.name), 'latin1'));
  server.requests.length = 0;
  await second.starts.begin('c', LAYERS);
  await second.read(objects[39] as ProfiledObject);
  await waitFor('40 objects', async () => {
    const all = second.client.objects.cache.facts.objects === 40;
    return (all && second.starts.statistics.objects >= 39) || undefined;
  });
  await second.starts.close();
  assert.equal(new Set(server.requests.map(({ path }) => path)).size, 40, 'each once');
  second.starts.opened(objects.slice(0, 30).map(({ object }) => object));
  const { hits, wastedBytes, ...ahead } = second.starts.statistics;
  assert.ok(ahead.objects >= 39 && ahead.bytes === ahead.objects * 5000, String(ahead.objects));
  assert.deepEqual([hits, wastedBytes], [30, (ahead.objects - 30) * 5000]);
  assert.deepEqual(readdirSync(join(second.directory, 'txn')), []);
});

test('files in the place of a profile that are none are ignored with a warning, and replaced', async (t) => {
  const server = await serverOf(t);
  const [object] = publish(server, 1, 10) as [ProfiledObject];
  const places: Record<string, (path: string) => void> = {
    'a symlink': (path) => symlinkSync('/etc/passwd', path),
    'a pipe': (path) => void execFileSync('mkfifo', [path]),
    'a huge file': (path) => writeFileSync(path, Buffer.alloc(600_000)),
    'other text': (path) => writeFileSync(path, 'thinlayer-profile 2\n'),
  };
  for (const [what, place] of Object.entries(places)) {
    const { starts, files, name, read, warnings, directory } = await startsOf(t, server);
    mkdirSync(dirname(files.pathOf(name)), { recursive: true });
    place(files.pathOf(name));
    await starts.begin('a', LAYERS);
    await read(object);
    await starts.end('a');
    assert.match(warnings.join(), /the profile .* is of no use: .* it is ignored/, what);
    assert.ok(warnings[0]?.includes(directory), what);
    assert.deepEqual(await files.read(name), [object], what);
  }
});

test('an object that no server has, or that is another, ends the fetching ahead once, and never enters the cache', async (t) => {
  const server = await serverOf(t);
  const objects = publish(server, 30, 1000);
  const [lacking, wrong] = objects as [ProfiledObject, ProfiledObject];
  for (const { bad, spoil } of [
    { bad: lacking, spoil: () => server.files.delete(`data/${lacking.object}`) },
    { bad: wrong, spoil: () => server.files.set(`data/${wrong.object}`, deflateSync(Buffer.from('other'))) },
  ]) {
    spoil();
    const rest = objects.filter(({ object }) => object !== bad.object).slice(2);
    const { starts, files, name, warnings, directory } = await startsOf(t, server);
    profileIn(directory, name, formatProfile([bad, ...rest]));
    await starts.begin('a', LAYERS);
    await waitFor('a warning', async () => warnings.length > 0 || undefined);
    await starts.end('a');
    assert.match(warnings.join('\n'), new RegExp(`names an object that cannot be fetched.*${bad.object}`));
    assert.equal(existsSync(join(directory, bad.object)), false);
    assert.deepEqual(await files.read(name), rest, 'it is forgotten');
  }
});

test('the quota is kept, and what is in use stays', async (t) => {
  const server = await serverOf(t);
  const used = publish(server, 6, 100_000);
  const { starts, client, name, read, directory } = await startsOf(t, server, { limit: 1_000_000 });
  for (const object of used) await read(object);
  const ahead = publish(server, 20, 99_000);
  profileIn(directory, name, formatProfile(ahead));
  await starts.begin('a', LAYERS);
  await waitFor('4 objects', async () => starts.statistics.objects === 4 || undefined);
  await starts.close();
  assert.equal(starts.statistics.objects, 4);
  for (const { object } of used) assert.ok(existsSync(join(directory, object)), object);
  assert.ok(client.objects.cache.facts.bytes <= 1_000_000);
});

test('what was not used for long makes room', async (t) => {
  const server = await serverOf(t);
  const { starts, client, name, read, directory } = await startsOf(t, server, { limit: 1_000_000 });
  for (const object of publish(server, 9, 100_000)) await read(object);
  client.clock.time += 3_600_000;
  profileIn(directory, name, formatProfile(publish(server, 20, 99_000)));
  await starts.begin('a', LAYERS);
  await waitFor('8 objects', async () => starts.statistics.objects === 8 || undefined);
  assert.ok(client.objects.cache.facts.bytes <= 1_000_000);
});

test('what is about to be read is fetched, and one that cannot be had is an error to its reader only', async (t) => {
  const server = await serverOf(t);
  const objects = publish(server, 30, 5000);
  const files = objects.map((object) => ({ ...object, path: `/layers/one/${object.object}` }));
  const { starts, client, files: profiles, name, warnings } = await startsOf(t, server);
  await starts.begin('a', LAYERS);
  await starts.lookAhead(files.slice(0, 20));
  assert.equal(client.objects.cache.facts.objects, 20);
  starts.opened(objects.slice(0, 8).map(({ object }) => object));
  assert.deepEqual(
    [starts.statistics.objects, starts.statistics.hits, starts.statistics.wastedBytes],
    [20, 8, 12 * 5000],
  );
  server.files.delete(`data/${objects[20]?.object}`);
  await starts.lookAhead(files.slice(20, 21));
  await starts.end('a');
  assert.deepEqual(await profiles.read(name), objects.slice(0, 8), 'what was opened belongs to the start');
  assert.deepEqual(warnings, []);
});

test('nothing is evicted for what is about to be read, however old it is', async (t) => {
  const server = await serverOf(t);
  const { starts, client, read } = await startsOf(t, server, { limit: 1_000_000 });
  for (const object of publish(server, 8, 100_000)) await read(object);
  client.clock.time += 3_600_000;
  const files = publish(server, 20, 99_000).map((object) => ({ ...object, path: '/f' }));
  await starts.lookAhead(files);
  assert.equal(starts.statistics.objects, 2);
  assert.equal(client.objects.cache.facts.objects, 10);
});

test('misses take the connections: ahead is fetched over what they leave', async () => {
  const prefetcher = new Prefetcher(4);
  const begun: number[] = [];
  const step = signalled();
  const misses = Array.from({ length: 4 }, () => prefetcher.duringMiss(() => step.promise));
  const run = prefetcher.run([1, 2, 3], async (item) => void begun.push(item));
  await new Promise(setImmediate);
  assert.deepEqual(begun, []);
  step.signal();
  await Promise.all(misses);
  await run;
  assert.deepEqual(begun, [1, 2, 3]);
});
