/** `npm run quickstart` as a newcomer runs it: twice, the first time broken off. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { test } from 'node:test';

import { check, waitFor } from './process.js';
import { PROJECT_ROOT } from './project.js';

const SCRIPT = ['docs/quickstart/quickstart.sh'];

/** Where one that runs has everything. */
function workOf(output: string): string | undefined {
  return /thinlayer-quickstart-\w+/.exec(output)?.[0];
}

test('broken off by kill -9 in the middle, it leaves nothing', async () => {
  const script = spawn('bash', SCRIPT, { cwd: PROJECT_ROOT, stdio: ['ignore', 'pipe', 'ignore'] });
  const ended = once(script, 'exit');
  let output = '';
  script.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  await waitFor('a thin image to be imported', async () => output.includes('import') || undefined);
  const work = `/var/tmp/${workOf(output) ?? ''}`;
  assert.ok(existsSync(work), work);
  script.kill('SIGKILL');
  await ended;
  await waitFor(`${work} to be removed`, async () => !existsSync(work) || undefined);
});

test('it runs a thin image, says what was fetched and how long it took, and removes everything', async () => {
  const output = await check('bash', SCRIPT, { cwd: PROJECT_ROOT });
  assert.equal(output.match(/^Hello from Python in a container\.$/gm)?.length, 3);
  assert.match(output, /docker run --rm thin python3 -c 'print\("Hello from Python in a container\."\)'/);
  const row = (name: string) => new RegExp(`^${name}.* ms +([0-9.]+) MB over the network$`, 'm').exec(output);
  const [cold, warm, pull] = ['thin image, .*cold', 'thin image, .*warm', 'ordinary image'].map((name) =>
    Number(row(name)?.[1]),
  );
  assert.equal(warm, 0);
  assert.ok(cold && pull && cold > 0 && cold < pull / 2, output);
  assert.match(output, /^A file that came in by COPY,$/m);
  assert.equal(existsSync(`/var/tmp/${workOf(output) ?? ''}`), false);
});
