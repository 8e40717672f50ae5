import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';

import { DISK_FILES } from '../../../src/cvmfs/embedded/config/disk-files.js';
import { loadConfig } from '../../../src/cvmfs/embedded/config/load.js';
import { CVMFS_CLIENT } from '../../system/project.js';

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

test('-o parse lists what was read and from where, and what this client has no use for', (t) => {
  const directory = scratch(t);
  for (const folder of ['keys', 'config.d']) fs.mkdirSync(join(directory, folder));
  fs.writeFileSync(join(directory, 'keys/a.pub'), '-----BEGIN PUBLIC KEY-----\n');
  const lines = ['SERVER_URL=http://a', 'HTTP_PROXY=DIRECT', 'NFILES=5', 'FOLLOW_REDIRECTS=yes'];
  const file = join(directory, 'config.d/sw.example.org.conf');
  fs.writeFileSync(file, lines.map((line) => `CVMFS_${line}\n`).join(''));
  const words = ['sw.example.org', '/mnt', '--config-dir', directory, '-o', 'parse'];
  const listed = execFileSync(process.execPath, [CVMFS_CLIENT, ...words], { encoding: 'utf8' });
  assert.equal(
    listed,
    `CVMFS_FOLLOW_REDIRECTS=yes    # from ${file}:4, ignored: this client has no use for it
CVMFS_HTTP_PROXY=DIRECT    # from ${file}:2
CVMFS_NFILES=5    # from ${file}:3, ignored: this client has no use for it
CVMFS_SERVER_URL=http://a    # from ${file}:1
`,
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

test('a FIFO in place of a configuration is refused, and nobody waits for it', (t) => {
  const fifo = join(scratch(t), 'default.local');
  execFileSync('mkfifo', [fifo]);
  const module = new URL('../../../src/cvmfs/embedded/config/disk-files.js', import.meta.url).href;
  const script = `import { DISK_FILES } from ${JSON.stringify(module)};
    try { DISK_FILES.read(process.argv[1]); } catch ({ code, message }) { console.log(code, message); }`;
  const read = spawnSync(process.execPath, ['--input-type=module', '-e', script, fifo], { timeout: 10_000 });
  assert.equal(
    read.stdout.toString(),
    `failed_precondition cannot read ${fifo}: it is no regular file; put one there, or name another\n`,
  );
});

test('a configuration that is a link to /dev/null is empty', (t) => {
  const path = join(scratch(t), 'default.local');
  fs.symlinkSync('/dev/null', path);
  assert.equal(DISK_FILES.read(path), '');
  assert.throws(() => DISK_FILES.read('/dev/zero'), { message: /no regular file/ });
});

test('a byte order mark at the beginning of a configuration is not read', (t) => {
  const directory = scratch(t);
  fs.mkdirSync(join(directory, 'config.d'));
  fs.writeFileSync(join(directory, 'default.local'), '\uFEFFCVMFS_TIMEOUT=3\nCVMFS_HTTP_PROXY=DIRECT\n');
  fs.writeFileSync(join(directory, 'config.d/sw.example.org.conf'), 'CVMFS_SERVER_URL=http://a\n');
  fs.writeFileSync(join(directory, 'key.pub'), '-----BEGIN PUBLIC KEY-----\n');
  fs.appendFileSync(
    join(directory, 'config.d/sw.example.org.conf'),
    `CVMFS_PUBLIC_KEY=${join(directory, 'key.pub')}\n`,
  );
  const question = { repository: 'sw.example.org', directory, only: null, environment: {} };
  assert.equal(loadConfig(question, DISK_FILES).network.timeoutSeconds, 3);
});
