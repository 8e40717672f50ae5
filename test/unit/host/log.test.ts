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

test('a late log loads nothing before its first record, and then loses none', async () => {
  const script = `
    import { createRequire } from 'node:module';
    import { openLogLate } from ${MODULE};
    const loaded = () => Object.keys(createRequire(import.meta.url).cache).some((file) => /\\bpino\\b/.test(file));
    const log = openLogLate('info');
    log.debug('too small');
    console.log(loaded());
    log.warn({ i: 1 }, 'first');
    console.log(loaded());
    process.kill(process.pid, 'SIGKILL');`;
  const { stdout, stderr } = await run(process.execPath, ['--input-type=module', '-e', script]);
  assert.equal(stdout, 'false\ntrue\n');
  assert.equal((JSON.parse(stderr) as { msg: string }).msg, 'first');
});

test('a late log says what it is opened for', async () => {
  const script = `
    import { openLogLate } from ${MODULE};
    openLogLate('debug').debug('small enough');`;
  const { stderr } = await run(process.execPath, ['--input-type=module', '-e', script]);
  assert.equal((JSON.parse(stderr) as { msg: string }).msg, 'small enough');
});
