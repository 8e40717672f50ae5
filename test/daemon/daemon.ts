/**
 * The real thinlayerd with real mounts, without a dockerd: in a jail of its own (test/system/jail.ts), so that it may
 * be killed at any moment while its mounts stay, and all is gone with the test, however that ends.
 */

import { readdir, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';

import { ask } from '../../src/cli/client.js';
import type { LayerReport } from '../../src/core/service.js';
import { findProgram } from '../../src/cvmfs/cvmfs2-command.js';
import { parseMountinfo } from '../../src/host/mountinfo.js';
import { Jail, ready } from '../system/jail.js';
import type { Daemon as Process } from '../system/jail.js';
import { isListening, waitFor } from '../system/process.js';
import { PROJECT_ROOT } from '../system/project.js';
import { GraphDriverClient } from './client.js';

const LOG_TAIL_LINES = 30;

/** What a home may hold when no layer is left. */
const PERMANENT = new Set(['l', '.trash', '.lock', '.uses']);

/** Give it to a test as `skip`. */
export const cannotRun: string | false =
  process.getuid?.() === 0 ? false : 'NEEDS ROOT: thinlayerd was not tested';

/** The same for a test that needs CERN's own client. */
export const cannotRunCerns: string | false =
  cannotRun ||
  (findProgram('cvmfs2') === null &&
    "CERN'S cvmfs2 IS NOT INSTALLED: thinlayerd was tested over a stand-in only");

export interface DaemonOptions {
  /** Below the daemon's directory; `home` if absent. */
  readonly home?: string;
  readonly storageOptions?: readonly string[];
  /** Runs before the daemon starts, with the path of the home, which is not there yet, and the jail. */
  readonly before?: (home: string, jail: Jail) => Promise<void>;
  /** More of thinlayerd's command line. */
  readonly arguments?: readonly string[];
  /** False: no home is named to the daemon. */
  readonly init?: boolean;
}

export class Daemon implements AsyncDisposable {
  readonly jail: Jail;
  readonly home: string;
  /** A new one after each start. */
  client: GraphDriverClient;
  private readonly arguments: readonly string[];
  private process: Process | null = null;

  private constructor(jail: Jail, options: DaemonOptions) {
    this.jail = jail;
    this.home = this.path(options.home ?? 'home');
    this.arguments = options.arguments ?? [];
    this.client = new GraphDriverClient(this.socket);
  }

  /** Listening, and with its home open. */
  static async start(options: DaemonOptions = {}): Promise<Daemon> {
    const daemon = new Daemon(await Jail.make(), options);
    try {
      await options.before?.(daemon.home, daemon.jail);
      await daemon.launch();
      if (options.init !== false) await daemon.client.init(daemon.home, options.storageOptions);
      return daemon;
    } catch (error) {
      const log = await daemon.logTail();
      await daemon[Symbol.asyncDispose]();
      throw new Error(`thinlayerd did not start\n${log}`, { cause: error });
    }
  }

  /** A path in the daemon's directory, for the test's files too. */
  path(...names: string[]): string {
    return join(this.jail.directory, ...names);
  }

  get socket(): string {
    return this.path('plugin.sock');
  }

  get control(): string {
    return this.path('control.sock');
  }

  /** The file that remembers Init. */
  get state(): string {
    return this.path('state/init.json');
  }

  get pid(): number {
    if (!this.process) throw new Error('thinlayerd was not started');
    return this.process.pid;
  }

  get running(): boolean {
    return this.process?.running ?? false;
  }

  /** The command line of thinlayerd, with more arguments behind. */
  command(...more: string[]): string[] {
    const main = join(PROJECT_ROOT, 'dist/src/main.js');
    const places = ['--socket', this.socket, '--control', this.control, '--state', this.state];
    return [process.execPath, main, ...places, ...more];
  }

  /** Starts it on what is there, and waits until it listens. No Init is sent: it remembers the last one. */
  async launch(): Promise<void> {
    this.process = await this.spawn();
    await ready(this.process, async () => (await isListening(this.socket)) && isListening(this.control));
    this.client = new GraphDriverClient(this.socket);
  }

  /** Starts it, and kills it so many milliseconds later, whatever it does then. */
  async launchAndKill(ms: number): Promise<void> {
    this.process = await this.spawn();
    await delay(ms);
    await this.kill9();
  }

  async kill9(): Promise<void> {
    await this.process?.stop('SIGKILL');
    this.client.close();
  }

  /** SIGTERM, and waits for its end: calls under way are answered first. */
  async stop(): Promise<void> {
    await this.process?.stop('SIGTERM');
    this.client.close();
  }

  /** Stops it, if it runs, and starts it again. */
  async restart(): Promise<void> {
    await this.stop();
    await this.launch();
  }

  /** A path that the daemon speaks of, for everybody: mounts are in the jail only. */
  inside(path: string): string {
    return `/proc/${this.jail.init}/root${path}`;
  }

  /** What `thinlayer` asks: `GET /layers`, `POST /repair/ID`. */
  ask(method: string, path: string): Promise<unknown> {
    return ask(this.control, method, path);
  }

  async layers(): Promise<LayerReport[]> {
    return (await this.ask('GET', '/layers')) as LayerReport[];
  }

  /** The mount points of overlays below the home, in the order they were mounted; one over another counts twice. */
  async mounts(): Promise<string[]> {
    const entries = parseMountinfo(await readFile(`/proc/${this.jail.init}/mountinfo`, 'utf8'));
    const points = entries.filter(({ type }) => type === 'overlay').map(({ mountPoint }) => mountPoint);
    return points.filter((point) => point.startsWith(`${this.home}/`));
  }

  /** Layers, and what is in the directories of the home, sorted: empty when all layers are gone and deleted. */
  async leftovers(): Promise<string[]> {
    const own = await this.list();
    const layers = own.filter((name) => !PERMANENT.has(name));
    const directories = ['l', '.trash', '.uses'].filter((name) => own.includes(name));
    const inside = directories.map(async (directory) =>
      (await this.list(directory)).map((name) => `${directory}/${name}`),
    );
    return [...layers, ...(await Promise.all(inside)).flat()].sort();
  }

  /** Waits until what was removed is deleted: that is done in the background. */
  async trashEmptied(): Promise<void> {
    await waitFor('an empty trash', async () => (await this.list('.trash')).length === 0 || undefined);
  }

  /** What each open file descriptor of the daemon is, sorted. Sockets and pipes by kind, without their numbers. */
  async descriptors(): Promise<string[]> {
    const directory = `/proc/${this.pid}/fd`;
    const targets = (await readdir(directory)).map((fd) =>
      // One that was closed meanwhile is none.
      readlink(join(directory, fd)).catch(() => null),
    );
    const open = (await Promise.all(targets)).filter((target) => target !== null);
    return open.map((target) => target.replace(/:\[\d+\]$/, '')).sort();
  }

  /** The end of the daemon's log. */
  async logTail(lines = LOG_TAIL_LINES): Promise<string> {
    const log = await readFile(this.path('thinlayerd.log'), 'utf8').catch(() => '(no log)');
    return `--- thinlayerd.log\n${log.trimEnd().split('\n').slice(-lines).join('\n')}`;
  }

  /** Ends the daemon and everything in its jail, and removes all files. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.client.close();
    await this.jail.close();
  }

  private spawn(): Promise<Process> {
    const command = this.command(...this.arguments);
    return this.jail.start({ name: 'thinlayerd', command, log: this.path('thinlayerd.log') });
  }

  private async list(name = ''): Promise<string[]> {
    return readdir(join(this.inside(this.home), name));
  }
}

/** `await using daemon = await startDaemon()`: everything is removed at the end of the block. */
export function startDaemon(options: DaemonOptions = {}): Promise<Daemon> {
  return Daemon.start(options);
}

/** A test with a daemon of its own; when it fails, the end of the daemon's log is shown with it. */
export function daemonTest(
  name: string,
  body: (daemon: Daemon, t: TestContext) => Promise<void>,
  options: DaemonOptions = {},
): void {
  test(name, { skip: cannotRun }, (t) => withDaemon(t, options, (daemon) => body(daemon, t)));
}

/** For a part of a test. */
export async function withDaemon(
  t: TestContext,
  options: DaemonOptions,
  body: (daemon: Daemon) => Promise<void>,
): Promise<void> {
  await using daemon = await startDaemon(options);
  try {
    await body(daemon);
  } catch (error) {
    t.diagnostic(await daemon.logTail());
    throw error;
  }
}
