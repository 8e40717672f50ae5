import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';

import { DISK_FILES } from '../../../src/cvmfs/embedded/config/disk-files.js';
import { loadConfig } from '../../../src/cvmfs/embedded/config/load.js';

function scratch(t: TestContext): string {
  const directory = fs.mkdtempSync(join(tmpdir(), 'thinlayer-config-'));
  t.after(() => fs.rmSync(directory, { recursive: true }));
  return directory;
}

test('a configuration on disk is read', (t) => {
  const directory = scratch(t);
  for (const folder of ['default.d', 'keys', 'config.d']) fs.mkdirSync(join(directory, folder));
  fs.writeFileSync(join(directory, 'default.d/20-b.conf'), 'CVMFS_TIMEOUT=2\n');
  fs.writeFileSync(join(directory, 'default.d/10-a.conf'), 'CVMFS_TIMEOUT=1\nCVMFS_HTTP_PROXY=DIRECT\n');
  fs.writeFileSync(join(directory, 'config.d/sw.example.org.conf'), 'CVMFS_SERVER_URL=http://a\n');
  fs.writeFileSync(join(directory, 'keys/b.pub'), '-----BEGIN PUBLIC KEY-----\n');
  fs.writeFileSync(join(directory, 'keys/a.pub'), '-----BEGIN PUBLIC KEY-----\n');
  const question = { repository: 'sw.example.org', directory, only: null, environment: {} };
  const config = loadConfig(question, DISK_FILES);
  assert.equal(config.network.timeoutSeconds, 2);
  assert.deepEqual(
    config.publicKeys.map(({ path }) => path),
    [join(directory, 'keys/a.pub'), join(directory, 'keys/b.pub')],
  );
});

test('what is not there is null, what cannot be read is an error that names it', (t) => {
  const directory = scratch(t);
  const file = join(directory, 'file');
  fs.writeFileSync(file, 'x');
  assert.equal(DISK_FILES.read(join(directory, 'none')), null);
  assert.equal(DISK_FILES.read(join(file, 'below')), null);
  assert.equal(DISK_FILES.list(join(directory, 'none')), null);
  assert.equal(DISK_FILES.list(file), null);
  assert.deepEqual(
    [file, directory, '/dev/null', join(directory, 'none')].map((path) => DISK_FILES.kind(path)),
    ['file', 'directory', 'other', null],
  );
  assert.throws(() => DISK_FILES.read(directory), { code: 'failed_precondition', path: directory });
});

test('a file too large for a configuration is refused unread', (t) => {
  const file = join(scratch(t), 'large');
  fs.writeFileSync(file, '');
  fs.truncateSync(file, 2 ** 21);
  assert.throws(() => DISK_FILES.read(file), { code: 'invalid_argument', message: /too large/ });
});
