import assert from 'node:assert/strict';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';

import { ThinlayerError } from '../../../src/core/errors.js';
import { JsonLog } from '../../../src/host/json-log.js';
import { run } from '../../system/process.js';
import { PROJECT_ROOT } from '../../system/project.js';

async function scratchFile(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'thinlayer-log-'));
  t.after(() => rm(directory, { recursive: true }));
  return join(directory, 'log');
}

function records(path: string): Record<string, unknown>[] {
  const lines = readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '');
  return lines.map((line) => {
    const { time, ...record } = JSON.parse(line) as Record<string, unknown>;
    assert.ok(Math.abs(Date.now() - Number(time)) < 60_000);
    return record;
  });
}

test('records are as pino writes them, from the level asked for on', async (t) => {
  const path = await scratchFile(t);
  const log = new JsonLog(openSync(path, 'w'), 'info');
  log.debug({}, 'too small');
  log.info({ repository: 'a.example.org', revision: 3 }, 'shown');
  log.warn({}, 'strange');
  log.error({}, 'bad');
  assert.deepEqual(records(path), [
    { level: 30, repository: 'a.example.org', revision: 3, msg: 'shown' },
    { level: 40, msg: 'strange' },
    { level: 50, msg: 'bad' },
  ]);
});

test('an error is told with its cause and where it comes from', async (t) => {
  const path = await scratchFile(t);
  const cause = new Error('deep down');
  new JsonLog(openSync(path, 'w'), 'debug').error(
    { err: new ThinlayerError('internal', 'up', { cause }) },
    'up',
  );
  const [{ err } = {}] = records(path);
  const told = err as {
    type: string;
    code: string;
    message: string;
    stack: string;
    cause: { message: string };
  };
  assert.deepEqual([told.type, told.code, told.message], ['ThinlayerError', 'internal', 'up']);
  assert.match(told.stack, /json-log\.test/);
  assert.equal(told.cause.message, 'deep down');
});

test('what was told is there when the process is killed in the next moment', async () => {
  const script = `
    import { JsonLog } from ${JSON.stringify(join(PROJECT_ROOT, 'dist/src/host/json-log.js'))};
    const log = new JsonLog(2, 'info');
    for (let i = 0; i < 1000; i++) log.info({ i }, 'going on');
    process.kill(process.pid, 'SIGKILL');`;
  const { stderr, code } = await run(process.execPath, ['--input-type=module', '-e', script]);
  assert.equal(code, 128);
  const told = stderr
    .trim()
    .split('\n')
    .map((line) => (JSON.parse(line) as { i: number }).i);
  assert.deepEqual(
    told,
    Array.from({ length: 1000 }, (_, i) => i),
  );
});

test('where it cannot be written nothing ends, and the next record says how many are missing', async (t) => {
  const path = await scratchFile(t);
  const full = openSync('/dev/full', 'w');
  const log = new JsonLog(full, 'info');
  log.info({}, 'lost');
  log.info({}, 'lost, too');
  closeSync(full);
  // The lowest number that is free.
  assert.equal(openSync(path, 'w'), full);
  log.info({}, 'there');
  log.info({}, 'and on');
  assert.deepEqual(records(path), [
    { level: 30, recordsLost: 2, msg: 'there' },
    { level: 30, msg: 'and on' },
  ]);
});
