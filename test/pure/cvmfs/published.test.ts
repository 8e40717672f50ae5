/** What tells of a directory below a mount that something else was published in it. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { publishedIn } from '../../../src/cvmfs/published.js';

const ROOT = 'c0'.repeat(20);
const counters = (hash: string) =>
  `catalog_hash: ${hash}\ncatalog_mountpoint: /plain\nname,value\nregular,1\n`;

function asked(attributes: Readonly<Record<string, string>>): Promise<string | null> {
  return publishedIn(
    (path, name) => Promise.resolve(path === '/x' ? (attributes[name] ?? null) : null),
    '/x',
  );
}

test("it is the hash of the directory's catalog, whatever else changes in the repository", async () => {
  for (const hash of ['ab'.repeat(20), `${'ab'.repeat(20)}-rmd160`]) {
    const told = { 'user.catalog_counters': counters(hash), 'user.root_hash': ROOT };
    assert.equal(await asked(told), hash);
  }
});

test("where the catalog is not told it is the root catalog's, and else nothing", async () => {
  for (const text of [counters('0'.repeat(40)), counters(''), 'error: failed to load catalog!'])
    assert.equal(await asked({ 'user.catalog_counters': text, 'user.root_hash': ROOT }), ROOT);
  assert.equal(await asked({ 'user.root_hash': ROOT }), ROOT);
  assert.equal(await asked({}), null);
});

test('a file system without attributes tells nothing; one that does not answer is an error', async () => {
  const failing = (code: string) =>
    publishedIn(() => Promise.reject(Object.assign(new Error(code), { code })), '/x');
  assert.equal(await failing('ENOTSUP'), null);
  await assert.rejects(failing('ENOTCONN'), { code: 'unavailable', message: /published revision/ });
});
