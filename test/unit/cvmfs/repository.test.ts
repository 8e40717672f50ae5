import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { parseBlacklist } from '../../../src/cvmfs/embedded/blacklist.js';
import { hashText, hexDigest, objectPath, parseObjectPath } from '../../../src/cvmfs/embedded/object-id.js';
import { Repository } from '../../../src/cvmfs/embedded/repository.js';
import { signalled } from '../../fakes/signalled.js';
import { fixture, masterKey } from '../../pure/cvmfs/fixtures.js';
import { NO_CATALOG, clientOf, serverOf, temporaryDirectory } from './client.js';
import type { Client } from './client.js';

const ROOT_7 = 'data/0e/452694aa29a822e75652930254c42a728af184C';
const CERTIFICATE = 'data/2b/107979dd9a2b7a0e764b41c41a999cd3059154X';
const MANIFEST = '.cvmfspublished';

for (const name of ['shake', 'rmd160', 'plain', 'mixed', 'alt']) {
  test(`${name}: opened, its root catalog is in the cache and is an SQLite file`, async (t) => {
    const server = await serverOf(t, `${name}/repo`);
    const client = await clientOf(t, name, [server.url]);
    const repository = await Repository.open(client);
    const { root, trusted, offline } = repository.facts;
    const path = await client.objects.cache.find(root);
    assert.ok(path);
    assert.equal(readFileSync(path).toString('latin1', 0, 16), 'SQLite format 3\0');
    assert.equal(trusted?.whitelistExpires.toISOString(), '2096-12-31T23:59:59.000Z');
    assert.equal(offline, null);
    await repository.close();
  });
}

/** Why it is offline. */
async function shown(client: Client): Promise<Repository> {
  const repository = await Repository.open(client);
  await repository.show();
  return repository;
}

function reason({ facts }: Repository): string {
  return facts.offline?.message ?? 'online';
}

/** variants.json of the sample set: what must not be opened, and the fault that has to be named. */
const REFUSED: [string, 'data_loss' | 'unavailable', RegExp][] = [
  ['expired-whitelist', 'data_loss', /whitelist .* expired at .*clock says/],
  ['tampered-manifest', 'data_loss', /manifest .* was changed/],
  ['tampered-manifest-rehashed', 'data_loss', /manifest .* its signature is wrong/],
  ['bad-manifest-signature', 'data_loss', /manifest .* its signature is wrong/],
  ['unsigned-manifest', 'data_loss', /manifest .* is not signed/],
  ['wrong-name', 'data_loss', /manifest .* is that of another repository, "other\.example\.org"/],
  ['wrong-root-path', 'data_loss', /manifest .* root path other than/],
  ['cert-not-whitelisted', 'data_loss', /certificate .* is not on its whitelist/],
  ['swapped-certificate', 'data_loss', /2b\/107979dd9a2b7a0e764b41c41a999cd3059154X .* its hash is another/],
  ['whitelist-other-master', 'data_loss', /whitelist .* is not signed with a known master key/],
  ['whitelist-wrong-name', 'data_loss', /whitelist .* is that of another repository/],
  ['whitelist-tampered', 'data_loss', /whitelist .* is not signed with a known master key/],
  ['whitelist-empty', 'data_loss', /whitelist .* is not signed/],
];

for (const [variant, code, message] of REFUSED) {
  test(`broken/${variant} is refused, and the fault is named`, async (t) => {
    const server = await serverOf(t, `broken/${variant}`, 'thin/rev-1');
    const client = await clientOf(t, 'thin', [server.url]);
    await assert.rejects(Repository.open(client), { name: 'ThinlayerError', code, message });
  });
}

test('a missing certificate or root catalog, and a damaged root catalog, are named', async (t) => {
  const server = await serverOf(t, 'thin/rev-1');
  for (const path of [CERTIFICATE, ROOT_7]) {
    server.deleted.add(path);
    const client = await clientOf(t, 'thin', [server.url]);
    const message = new RegExp(`${path} cannot be fetched: .*answered 404`);
    await assert.rejects(Repository.open(client), { code: 'unavailable', message });
    server.deleted.clear();
  }
  server.misbehave = ({ path }) => (path === ROOT_7 ? 'flip a bit' : null);
  const client = await clientOf(t, 'thin', [server.url]);
  await assert.rejects(Repository.open(client), { code: 'data_loss', message: /0e\/452694aa.*C / });
});

test('whoever waits for it to open can give up', async (t) => {
  const server = await serverOf(t, 'thin/rev-1');
  const giveUp = new AbortController();
  server.misbehave = () => (giveUp.abort(), 'hang');
  const client = await clientOf(t, 'thin', [server.url], { timeoutDirectMs: 600_000 });
  await assert.rejects(Repository.open(client, giveUp.signal), { code: 'aborted' });
});

test('any of the master keys known here may have signed the whitelist', async (t) => {
  const server = await serverOf(t, 'broken/whitelist-other-master', 'thin/rev-1');
  const client = await clientOf(t, 'thin', [server.url]);
  const repository = await Repository.open({ ...client, keys: [...client.keys, masterKey('other')] });
  assert.equal(repository.facts.revision, 7);
  await repository.close();
});

for (const variant of [
  'ok-two-fingerprints-with-comments',
  'ok-blank-and-comment-lines',
  'ok-expired-x509',
  'ok-unknown-manifest-keys',
]) {
  test(`broken/${variant} is odd, but valid`, async (t) => {
    const server = await serverOf(t, `broken/${variant}`, 'thin/rev-1');
    const repository = await Repository.open(await clientOf(t, 'thin', [server.url]));
    assert.equal(repository.facts.offline, null);
    await repository.close();
  });
}

for (const [variant, path] of [
  ['tampered-object', '61/d4a5cb50bb5a6473c040cc799ba306c20d9e73'],
  ['corrupt-object', 'a7/c6ba9c43bd648741cc22cdcb494f5eab68d2ed'],
  ['truncated-object', 'a7/c6ba9c43bd648741cc22cdcb494f5eab68d2ed'],
  ['appended-object', 'a7/c6ba9c43bd648741cc22cdcb494f5eab68d2ed'],
  ['tampered-nested-catalog', 'd5/efcc1c06912e2eae8e090109b227566d07069eC'],
] as const) {
  test(`broken/${variant}: the repository opens, the object is refused`, async (t) => {
    const server = await serverOf(t, `broken/${variant}`, 'thin/rev-1');
    const repository = await Repository.open(await clientOf(t, 'thin', [server.url]));
    const how = { compressed: true, size: 1 << 20 };
    await assert.rejects(repository.fetchObject(parseObjectPath(path), how), {
      code: 'data_loss',
      op: 'verify',
    });
    await repository.close();
  });
}

test('a server whose chain is broken anywhere is left for the next one', async (t) => {
  const good = await serverOf(t, 'thin/rev-1');
  for (const variant of ['expired-whitelist', 'cert-not-whitelisted', 'wrong-name', 'swapped-certificate']) {
    const bad = await serverOf(t, `broken/${variant}`, 'thin/rev-1');
    const repository = await Repository.open(await clientOf(t, 'thin', [bad.url, good.url]));
    assert.equal(repository.facts.revision, 7, variant);
    await repository.close();
  }
});

test('a new revision is taken at a refresh, shown, pinned; an older one is refused, and the mount goes on', async (t) => {
  const server = await serverOf(t, 'thin/rev-1');
  const client = await clientOf(t, 'thin', [server.url]);
  const repository = await shown(client);
  const first = repository.facts.root;
  await repository.refresh();
  assert.deepEqual(client.events, []);
  assert.equal(client.shown.length, 1);

  server.layers = ['thin/rev-2-delta', 'thin/rev-1'];
  await repository.refresh();
  const { root, revision } = repository.facts;
  assert.equal(revision, 10);
  assert.deepEqual(
    client.shown.map((each) => each.revision),
    [7, 10],
  );
  await client.objects.cache.setLimit(900_000);
  assert.ok(await client.objects.cache.find(root));
  assert.equal(await client.objects.cache.find(first), null);

  server.layers = ['thin/rev-1'];
  await repository.refresh();
  assert.equal(repository.facts.revision, 10);
  assert.match(reason(repository), /revision 7, .* is outdated: revision 10, .* was seen here/);
  server.layers = ['thin/rev-2-delta', 'thin/rev-1'];
  await repository.refresh();
  assert.equal(repository.facts.offline, null);
  assert.deepEqual(
    client.events.map(({ type }) => type),
    ['offline', 'online'],
  );
  await repository.close();
});

test('a new revision that cannot be shown leaves everything as it is, and its reason', async (t) => {
  const directory = temporaryDirectory(t);
  const server = await serverOf(t, 'thin/rev-1');
  const client = await clientOf(t, 'thin', [server.url], { directory });
  const repository = await shown(client);
  const before = repository.facts;
  server.layers = ['thin/rev-2-delta', 'thin/rev-1'];
  client.unreadable = 10;
  await repository.refresh();
  assert.deepEqual(repository.facts, { ...before, offline: NO_CATALOG });
  await client.objects.cache.setLimit(1);
  assert.ok(await client.objects.cache.find(before.root));
  await repository.close();

  const next = await clientOf(t, 'thin', [server.url], { directory });
  const again = await Repository.open(next);
  assert.equal(again.facts.revision, 10);
  next.unreadable = 10;
  await again.show();
  assert.equal(again.facts.revision, 7);
  assert.equal(again.facts.offline, NO_CATALOG);
  next.unreadable = null;
  await again.refresh();
  assert.equal(again.facts.revision, 10);
  assert.equal(again.facts.offline, null);
  await again.close();
});

test('a first revision that cannot be shown is refused', async (t) => {
  const server = await serverOf(t, 'thin/rev-1');
  const client = await clientOf(t, 'thin', [server.url]);
  client.unreadable = 7;
  await assert.rejects(shown(client), NO_CATALOG);
});

test('an unchanged manifest is taken even when the whitelist has expired since', async (t) => {
  const server = await serverOf(t, 'thin/rev-1');
  const client = await clientOf(t, 'thin', [server.url]);
  const repository = await Repository.open(client);
  client.clock.time = Date.UTC(2097, 0, 1);
  await repository.refresh();
  assert.equal(repository.facts.offline, null);
  server.layers = ['thin/rev-2-delta', 'thin/rev-1'];
  await repository.refresh();
  assert.match(reason(repository), /expired at 2096/);
  assert.equal(repository.facts.revision, 7);
  await repository.close();
});

test('a client that has seen revision 10 does not open revision 7: it begins with what it has', async (t) => {
  const directory = temporaryDirectory(t);
  const server = await serverOf(t, 'thin/rev-2-delta', 'thin/rev-1');
  await (await shown(await clientOf(t, 'thin', [server.url], { directory }))).close();
  server.layers = ['thin/rev-1'];
  const repository = await Repository.open(await clientOf(t, 'thin', [server.url], { directory }));
  assert.equal(repository.facts.revision, 10);
  assert.match(reason(repository), /revision 7, .* is outdated/);
  await repository.close();

  rmSync(join(directory, objectPath(repository.facts.root)));
  await assert.rejects(Repository.open(await clientOf(t, 'thin', [server.url], { directory })), {
    code: 'data_loss',
    message: /is outdated/,
  });
});

test('without any server it begins with what the cache holds, and hears of the next revision later', async (t) => {
  const directory = temporaryDirectory(t);
  const server = await serverOf(t, 'thin/rev-1');
  await (await shown(await clientOf(t, 'thin', [server.url], { directory }))).close();
  server.misbehave = () => ({ status: 503 });
  const client = await clientOf(t, 'thin', [server.url], { directory });
  const repository = await Repository.open(client);
  const { trusted, revision } = repository.facts;
  assert.deepEqual({ trusted, revision }, { trusted: null, revision: 7 });
  assert.match(reason(repository), /answered 503/);

  server.misbehave = () => null;
  server.layers = ['thin/rev-2-delta', 'thin/rev-1'];
  await repository.refresh();
  assert.equal(repository.facts.trusted?.manifest.revision, 10);
  assert.deepEqual(
    client.events.map(({ type }) => type),
    ['online'],
  );
  await repository.close();
});

test('a blacklisted certificate or revision is refused, from the cache as well', async (t) => {
  const directory = temporaryDirectory(t);
  const server = await serverOf(t, 'thin/rev-1');
  await (await shown(await clientOf(t, 'thin', [server.url], { directory }))).close();
  const client = await clientOf(t, 'thin', [server.url], { directory });
  const blacklist = () => parseBlacklist('<thin.example.org 8');
  await assert.rejects(Repository.open({ ...client, blacklist }), {
    code: 'data_loss',
    message: /blacklist/,
  });
});

test('a blacklist counts as it is now, also for a client that runs', async (t) => {
  const server = await serverOf(t, 'thin/rev-1');
  const client = await clientOf(t, 'thin', [server.url]);
  let text = '';
  const repository = await Repository.open({ ...client, blacklist: () => parseBlacklist(text) });
  await repository.show();
  const barred = repository.facts.trusted?.certificateFingerprint ?? '';
  text = `${barred} # its key was stolen`;
  server.layers = ['thin/rev-2-delta', 'thin/rev-1'];
  await repository.refresh();
  assert.equal(repository.facts.revision, 7);
  assert.match(reason(repository), /certificate .* is on this host's blacklist/);
  text = '';
  await repository.refresh();
  assert.equal(repository.facts.revision, 10);

  // It goes on, and says that it should not.
  text = '<thin.example.org 11';
  await repository.refresh();
  assert.equal(repository.facts.revision, 10);
  assert.match(reason(repository), /revision 10 .* is on this host's blacklist/);
  await repository.close();
});

test('a breadcrumb that could not be written is written later: without it a server might go back', async (t) => {
  const directory = temporaryDirectory(t);
  const server = await serverOf(t, 'thin/rev-1');
  const repository = await shown(await clientOf(t, 'thin', [server.url], { directory }));
  const path = join(directory, 'cvmfschecksum.thin.example.org');
  const text = readFileSync(path);
  rmSync(path);
  mkdirSync(path);
  server.layers = ['thin/rev-2-delta', 'thin/rev-1'];
  await repository.refresh();
  assert.equal(repository.facts.revision, 10);
  assert.match(reason(repository), /EISDIR/);
  await repository.refresh();
  assert.match(reason(repository), /EISDIR/, 'it is not forgotten while it lasts');
  rmdirSync(path);
  writeFileSync(path, text);
  await repository.refresh();
  assert.equal(reason(repository), 'online');
  assert.match(readFileSync(path, 'latin1'), /R10$/);
  await repository.close();
});

test('who asks while a refresh has heard the server already is shown what was published since', async (t) => {
  const server = await serverOf(t, 'thin/rev-1');
  const client = await clientOf(t, 'thin', [server.url]);
  const repository = await shown(client);
  const [asked, answer] = [signalled(), signalled()];
  server.misbehave = () => {
    asked.signal();
    return { until: answer.promise };
  };
  const earlier = repository.refresh();
  await asked.promise;
  server.layers = ['thin/rev-2-delta', 'thin/rev-1'];
  const [later, another] = [repository.refresh(), repository.refresh()];
  answer.signal();
  await earlier;
  assert.equal(repository.facts.revision, 7);
  await Promise.all([later, another]);
  assert.equal(repository.facts.revision, 10);
  assert.equal(server.count(MANIFEST), 3);
  await repository.close();
});

test('it follows the manifest: by its time to live, and sooner when it could not be heard', async (t) => {
  const server = await serverOf(t, 'thin/rev-1');
  const client = await clientOf(t, 'thin', [server.url]);
  const repository = await Repository.open({
    ...client,
    onEvent: ({ type }) => {
      if (type === 'online') void repository.close();
    },
  });
  server.misbehave = () => (server.count(MANIFEST) === 3 ? { status: 503 } : null);
  await repository.follow();
  assert.deepEqual(client.clock.slept, [240_000, 240_000, 180_000]);
});

test('a manifest that names what its server does not have yet is left for that of another server', async (t) => {
  const early = await serverOf(t, 'thin/rev-2-delta', 'thin/rev-1');
  const steady = await serverOf(t, 'thin/rev-1');
  const { root } = (await Repository.open(await clientOf(t, 'thin', [early.url]))).facts;
  early.deleted.add(`data/${objectPath(root)}`);
  const repository = await Repository.open(await clientOf(t, 'thin', [early.url, steady.url]));
  assert.equal(repository.facts.revision, 7);
  await repository.close();
});

test('what a stranger wrote into a manifest does not reach the disk as a path', async (t) => {
  const server = await serverOf(t, 'thin/rev-1');
  const lines = fixture('thin/rev-1/.cvmfspublished').toString('latin1').split('\n--\n')[0];
  const body = Buffer.from(`${lines}\nC../../../../etc/passwd\n`, 'latin1');
  const hash = hashText({ algorithm: 'sha1', hex: hexDigest('sha1', body), kind: '' });
  server.files.set(MANIFEST, Buffer.concat([body, Buffer.from(`--\n${hash}\nsignature`)]));
  const client = await clientOf(t, 'thin', [server.url]);
  await assert.rejects(Repository.open(client), { code: 'data_loss', message: /line C is not a hash/ });
  assert.deepEqual(
    server.requests.map(({ path }) => path),
    [MANIFEST],
  );
});
