/** The addon where the kernel gives the daemon no more threads: in a control group with a limit of tasks, say. */

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { chmod, copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';

/** RLIMIT_NPROC does not hold for root. Nobody else has this id. */
const UID = 64_999;

/** Waits until its number of threads is limited, and then has work for some. */
const SCRIPT = `
  import { createRequire } from 'node:module';
  const addon = createRequire(import.meta.url)(process.argv[1]);
  process.stdin.once('data', async () => {
    const work = ['a', 'b', 'c'].map((name) => addon.unmount('/nowhere/' + name));
    const writer = new addon.TreeWriter('/nowhere', 0, 0, 'trusted.overlay.opaque', false, 1, 512);
    const outcomes = await Promise.allSettled([...work, writer.open()]);
    console.log(JSON.stringify(outcomes.map(({ status, reason }) => reason?.message ?? status)));
    process.exit();
  });
  console.log('ready');`;

test('work for which no thread can be started fails, and does not end the daemon', async (t) => {
  const cwd = await readableCopy(t);
  const ids = { uid: UID, gid: UID, cwd };
  const child = spawn(
    process.execPath,
    ['--input-type=module', '-e', SCRIPT, join(cwd, 'thinlayer.node')],
    ids,
  );
  t.after(() => child.kill('SIGKILL'));
  child.stdout.setEncoding('utf8');
  child.stderr.pipe(process.stderr);
  await once(child.stdout, 'data');
  const threads = String(readdirSync(`/proc/${child.pid}/task`).length);
  execFileSync('prlimit', ['--pid', String(child.pid), `--nproc=${threads}:${threads}`], ids);
  child.stdin.write('go');
  const [answer] = (await once(child.stdout, 'data')) as [string];
  const refusal =
    'pthread_create: EAGAIN (Resource temporarily unavailable): raise the limit of tasks (TasksMax, pids.max)';
  assert.deepEqual(JSON.parse(answer), [refusal, refusal, refusal, refusal]);
});

/** A directory with the addon: that user may not be able to read ours, below /root say. */
async function readableCopy(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'thinlayer-threads-'));
  t.after(() => rm(directory, { recursive: true }));
  await chmod(directory, 0o755);
  await copyFile(
    new URL('../../../native/build/Release/thinlayer.node', import.meta.url),
    join(directory, 'thinlayer.node'),
  );
  return directory;
}
