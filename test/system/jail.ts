/** A jail of test/setup/jail.sh, and programs that run in it. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync, closeSync } from 'node:fs';
import { chmod, mkdtemp, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PROJECT_ROOT, SCRATCH } from './project.js';
import { check, waitFor } from './process.js';
import type { ChildProcess } from 'node:child_process';

/** sudo and cron give a PATH without the system's programs. */
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** A long-running program in the jail. */
export interface Daemon {
  readonly name: string;
  /** Its process id as the host sees it. */
  readonly pid: number;
  /** Sends the signal and waits for the end; resolves at once when it has ended already. */
  stop(signal?: NodeJS.Signals): Promise<void>;
  readonly running: boolean;
}

export interface DaemonOptions {
  readonly name: string;
  readonly command: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  /** Standard output and standard error are appended to this file. */
  readonly log: string;
}

export class Jail implements AsyncDisposable {
  readonly directory: string;
  /** The jail's first process, as the host sees it. */
  readonly init: number;
  private readonly keeper: ChildProcess;

  private constructor(directory: string, keeper: ChildProcess, init: number) {
    this.directory = directory;
    this.keeper = keeper;
    this.init = init;
  }

  static async make(): Promise<Jail> {
    if (process.getuid?.() !== 0)
      throw new Error('the system tests need root: run them as root, or skip them');
    const directory = await mkdtemp(join(SCRATCH, 'thinlayer-lab-'));
    // A container's remapped root has to be able to reach its files.
    await chmod(directory, 0o711);
    const script = join(PROJECT_ROOT, 'test/setup/jail.sh');
    // Of its own session: ^C must not reach the daemons before the tests could end in order.
    const stdio: ['pipe', 'pipe', 'inherit'] = ['pipe', 'pipe', 'inherit'];
    const keeper = spawn('bash', [script, directory], {
      stdio,
      detached: true,
      env: { ...process.env, PATH },
    });
    await Promise.race([once(keeper.stdout, 'data'), failsEarly(keeper)]);
    const unshare = await onlyChild(keeper.pid);
    return new Jail(directory, keeper, await onlyChild(unshare));
  }

  /** The command line that runs `command` inside. */
  enter(command: readonly string[]): string[] {
    return ['nsenter', '-t', String(this.init), '-m', '-p', '-n', '--', ...command];
  }

  /** Runs a program inside to its end, and gives its standard output; a non-zero exit status is an error. */
  async run(command: readonly string[]): Promise<string> {
    const [program = '', ...args] = this.enter(command);
    return check(program, args, { env: { PATH } });
  }

  async start(options: DaemonOptions): Promise<Daemon> {
    const [program = '', ...args] = this.enter(options.command);
    const log = openSync(options.log, 'a');
    const env = { ...process.env, ...options.env, PATH };
    const entered = spawn(program, args, { stdio: ['ignore', log, log], env });
    closeSync(log);
    const ended = once(entered, 'exit');
    return new JailedDaemon(options.name, await onlyChild(entered.pid), entered, ended);
  }

  /** Mount points inside, in the order they were mounted. */
  async mounts(): Promise<string[]> {
    const lines = (await readFile(`/proc/${this.init}/mountinfo`, 'utf8')).trim().split('\n');
    return lines.map((line) => line.split(' ')[4] ?? '');
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Ends everything inside and removes the directory. */
  async close(): Promise<void> {
    const ended = once(this.keeper, 'exit');
    this.keeper.stdin?.end();
    if (this.keeper.exitCode === null && this.keeper.signalCode === null) await ended;
  }
}

/** Waits until `probe` says yes; fails at once when the daemon ends before. */
export async function ready(daemon: Daemon, probe: () => Promise<boolean>): Promise<void> {
  await waitFor(`${daemon.name} to answer`, async () => {
    if (!daemon.running) throw new Error(`${daemon.name} ended at its start`);
    return (await probe()) || undefined;
  });
}

class JailedDaemon implements Daemon {
  readonly name: string;
  readonly pid: number;
  private readonly entered: ChildProcess;
  private readonly ended: Promise<unknown>;

  constructor(name: string, pid: number, entered: ChildProcess, ended: Promise<unknown>) {
    this.name = name;
    this.pid = pid;
    this.entered = entered;
    this.ended = ended;
  }

  get running(): boolean {
    return this.entered.exitCode === null && this.entered.signalCode === null;
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (this.running) signalIfAlive(this.pid, signal);
    await this.ended;
  }
}

/** It may have ended just now, with `nsenter` not knowing yet. */
function signalIfAlive(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** `nsenter` and `unshare` fork: signals must go to the program itself. */
async function onlyChild(pid: number | undefined): Promise<number> {
  return waitFor(`the child of process ${pid}`, async () => {
    const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8');
    return children.trim() === '' ? undefined : Number(children.trim().split(' ')[0]);
  });
}

async function failsEarly(keeper: ChildProcess): Promise<never> {
  const [code] = (await once(keeper, 'exit')) as [number | null];
  throw new Error(`the jail could not be made: jail.sh ended with status ${code}`);
}
