/** The place of the labs and of the quickstart: what a killed one leaves, the next one removes, and nothing else. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, rmdir, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { test } from 'node:test';

import { PROJECT_ROOT, SCRATCH } from '../system/project.js';
import { waitFor } from '../system/process.js';
import { cannotRun } from './daemon.js';

const SCRIPT = join(PROJECT_ROOT, 'test/setup/jail.sh');

interface Place {
  readonly directory: string;
  readonly keeper: ChildProcess;
}

/** A jail in a new directory below `parent`, in a process group of its own. */
async function startJail(parent: string): Promise<Place> {
  const directory = await mkdtemp(join(parent, 'thinlayer-jailed-'));
  const keeper = spawn('bash', [SCRIPT, directory], { stdio: ['pipe', 'pipe', 'inherit'], detached: true });
  await once(keeper.stdout as NodeJS.EventEmitter, 'data');
  return { directory, keeper };
}

async function endJail({ keeper }: Place): Promise<void> {
  const ended = once(keeper, 'exit');
  keeper.stdin?.end();
  await ended;
}

async function killAll({ keeper }: Place): Promise<void> {
  const ended = once(keeper, 'exit');
  process.kill(-(keeper.pid ?? assert.fail()), 'SIGKILL');
  await ended;
}

/** Where there is a hierarchy that may be written. */
async function makeCgroup({ directory }: Place): Promise<string> {
  const path = join('/sys/fs/cgroup', basename(directory));
  await mkdir(path).catch(() => undefined);
  return path;
}

test(
  'what was killed with its keeper is removed by the next, what lives or is no jail stays',
  { skip: cannotRun },
  async () => {
    const parent = await mkdtemp(join(SCRATCH, 'thinlayer-jails-'));
    try {
      const [killed, alive] = [await startJail(parent), await startJail(parent)];
      const cgroup = await makeCgroup(killed);
      const other = await mkdtemp(join(parent, 'thinlayer-other-'));
      await writeFile(join(killed.directory, 'left'), '');
      await killAll(killed);
      assert.ok(existsSync(join(killed.directory, 'left')));
      // Its processes end a moment after their keeper.
      await waitFor('what was left to go', async () => {
        await endJail(await startJail(parent));
        return !existsSync(killed.directory) || undefined;
      });
      assert.ok(!existsSync(cgroup));
      assert.ok(existsSync(alive.directory) && existsSync(other));
      await endJail(alive);
      assert.ok(!existsSync(alive.directory));
      await rmdir(other);
      await rmdir(parent);
    } finally {
      await rm(parent, { recursive: true, force: true });
    }
  },
);
