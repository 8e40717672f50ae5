import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { run } from '../../system/process.js';
import { PROJECT_ROOT } from '../../system/project.js';

const MODULE = JSON.stringify(join(PROJECT_ROOT, 'dist/src/host/log.js'));

test('what was told is there when the process is killed in the next moment', async () => {
  const script = `
    import { openLog } from ${MODULE};
    const log = openLog('info');
    log.debug('too small');
    for (let i = 0; i < 1000; i++) log.info({ i }, 'going on');
    process.kill(process.pid, 'SIGKILL');`;
  const { stderr } = await run(process.execPath, ['--input-type=module', '-e', script]);
  const lines = stderr.trim().split('\n');
  const told = lines.map((line) => (JSON.parse(line) as { i: number }).i);
  assert.deepEqual(
    told,
    Array.from({ length: 1000 }, (_, i) => i),
  );
});

test('a log that cannot be written does not end the process', async () => {
  const script = `
    import { openLog } from ${MODULE};
    const log = openLog('info');
    for (let i = 0; i < 3; i++) log.error({ err: new Error('bad') }, 'nobody hears it');
    setTimeout(() => process.exit(7), 10);`;
  const full = openSync('/dev/full', 'w');
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'ignore', full],
  });
  closeSync(full);
  assert.deepEqual(await once(child, 'exit'), [7, null]);
});

/** What it wrote, and whether pino was loaded after each statement. */
async function late(level: string, ...statements: string[]): Promise<{ told: string[]; loaded: boolean[] }> {
  const script = `
    import { createRequire } from 'node:module';
    import { openLogLate } from ${MODULE};
    const isLoaded = () => Object.keys(createRequire(import.meta.url).cache).some((file) => file.endsWith('/pino.js'));
    const log = openLogLate('${level}');
    ${statements.map((statement) => `${statement}; console.log(isLoaded());`).join('\n')}`;
  const { stdout, stderr } = await run(process.execPath, ['--input-type=module', '-e', script]);
  const lines = (text: string) => text.split('\n').filter((line) => line !== '');
  return {
    told: lines(stderr).map((line) => (JSON.parse(line) as { msg: string }).msg),
    loaded: lines(stdout).map((line) => line === 'true'),
  };
}

test('a late log is opened by a warning, which comes after what was told before it', async () => {
  const log = await late(
    'info',
    `log.debug('small')`,
    `log.info({}, 'first')`,
    `log.warn({}, 'second')`,
    `log.info({}, 'third')`,
  );
  assert.deepEqual(log, { told: ['first', 'second', 'third'], loaded: [false, false, true, true] });
});

test('a late log is opened by hand, and at the end if something waits for it', async () => {
  assert.deepEqual(await late('info', `log.open()`), { told: [], loaded: [true] });
  assert.deepEqual(await late('info', `log.info({}, 'only')`), { told: ['only'], loaded: [false] });
});

test('a late log of small things is opened by them', async () => {
  assert.deepEqual(await late('debug', `log.debug('small')`), { told: ['small'], loaded: [true] });
});
