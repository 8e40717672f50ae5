import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';

import { endsWithin } from '../../../src/cvmfs/process-end.js';

test('a process has ended when it is gone, and when nobody waits for it', async (t) => {
  // The shell becomes a program that never waits for its child, which ends when its standard input does.
  const parent = spawn('sh', [
    '-c',
    'exec 3<&0; cat <&3 >/dev/null & echo $!; exec sleep 1000 </dev/null 3<&-',
  ]);
  t.after(() => parent.kill('SIGKILL'));
  const [line] = (await once(parent.stdout, 'data')) as [Buffer];
  const child = Number(line.toString());
  assert.equal(await endsWithin(child, 0), false);
  parent.stdin.end();
  assert.equal(await endsWithin(child, 10_000), true);
  assert.ok(process.kill(child, 0), 'it is a zombie');
  parent.kill('SIGKILL');
  assert.equal(await endsWithin(parent.pid ?? 0, 10_000), true);
});
