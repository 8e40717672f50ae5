/**
 * A private Docker daemon on a storage driver: both run in a jail, with their own data, sockets, plugins directory
 * and network, so that several labs can run at once and the host's own Docker is never touched.
 */

import { mkdir, readFile, readdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { driverUnderTest, pluginSocket, startPlugin } from './drivers.js';
import { Jail, ready } from './jail.js';
import { DOCKER_CLI } from './project.js';
import { run } from './process.js';
import type { DriverName } from './drivers.js';
import type { Daemon } from './jail.js';
import type { Result, RunOptions } from './process.js';

const LOG_TAIL_LINES = 20;

/** Lines of dockerd and its containerd that each start and each container bring. */
const CHATTER =
  /level=info|shim disconnected|cleanup warnings|devmapper|blkio weight|containerd config version/;

/** Folders of a home that stay when the last layer is gone. */
const PERMANENT = ['l', 'cvmfs', 'masks', '.trash', '.uses'];

export interface LabOptions {
  /** The driver under test if absent. */
  readonly driver?: DriverName;
  /** Each as `key=value`, for `--storage-opt`. */
  readonly storageOpts?: readonly string[];
  /** Run with `--userns-remap=default`. */
  readonly usernsRemap?: boolean;
  readonly liveRestore?: boolean;
  /** More of dockerd's command line. */
  readonly flags?: readonly string[];
  /** Made in the jail before anything starts: an option may name them. */
  readonly directories?: readonly string[];
}

export class Lab implements AsyncDisposable {
  readonly jail: Jail;
  readonly driver: DriverName;
  private readonly options: LabOptions;
  private plugin: Daemon | null = null;
  private dockerd: Daemon | null = null;

  private constructor(jail: Jail, options: LabOptions) {
    this.jail = jail;
    this.driver = options.driver ?? driverUnderTest();
    this.options = options;
  }

  static async start(options: LabOptions = {}): Promise<Lab> {
    const lab = new Lab(await Jail.make(), options);
    try {
      await mkdir(lab.path('docker-config'));
      for (const directory of options.directories ?? []) await lab.jail.run(['mkdir', directory]);
      await lab.startPlugin();
      await lab.startDockerd();
      return lab;
    } catch (error) {
      const logs = await lab.logs();
      await lab.close();
      throw new Error(`the lab did not start\n${logs}`, { cause: error });
    }
  }

  /** A path in the lab's own directory, for the test's files too. */
  path(...names: string[]): string {
    return join(this.jail.directory, ...names);
  }

  /** The driver's home. */
  get home(): string {
    // The first range that useradd gives to `dockremap` in an /etc/subuid with no other user.
    return this.options.usernsRemap
      ? this.path('data/100000.100000', this.driver)
      : this.path('data', this.driver);
  }

  /** The plugin's process; fails for a driver built into dockerd. */
  get pluginProcess(): Daemon {
    if (!this.plugin) throw new Error(`${this.driver} has no process of its own`);
    return this.plugin;
  }

  get dockerdProcess(): Daemon {
    if (!this.dockerd) throw new Error('dockerd was not started');
    return this.dockerd;
  }

  /** Runs a docker command, and gives its standard output without the last newline. */
  async docker(...args: string[]): Promise<string> {
    return this.dockerWith({}, ...args);
  }

  /** As `docker`, with an input, a working directory or more environment. */
  async dockerWith(options: RunOptions, ...args: string[]): Promise<string> {
    const result = await this.tryDocker(options, ...args);
    if (result.code === 0) return result.stdout.replace(/\n$/, '');
    throw new Error(`docker ${args.join(' ')}: exit status ${result.code}\n${result.stderr}${result.stdout}`);
  }

  /** As `docker`, but a non-zero exit status is a result. */
  tryDocker(options: RunOptions, ...args: string[]): Promise<Result> {
    return run(DOCKER_CLI, args, { ...options, env: { ...this.clientEnvironment(), ...options.env } });
  }

  clientEnvironment(): NodeJS.ProcessEnv {
    return {
      DOCKER_HOST: `unix://${this.path('docker.sock')}`,
      DOCKER_CONFIG: this.path('docker-config'),
      DOCKER_BUILDKIT: '0',
    };
  }

  async startPlugin(): Promise<void> {
    if (this.driver === 'overlay2') return;
    this.plugin = await startPlugin(this.jail, this.driver);
    const plugins = `/proc/${this.jail.init}/root/run/docker/plugins`;
    await symlink(pluginSocket(this.jail), `${plugins}/${this.driver}.sock`).catch(ignoreExisting);
  }

  async startDockerd(): Promise<void> {
    const command = this.dockerdCommand();
    const dockerd = await this.jail.start({ name: 'dockerd', command, log: this.path('dockerd.log') });
    this.dockerd = dockerd;
    await ready(dockerd, async () => (await this.tryDocker({}, 'version')).code === 0);
  }

  async restartDockerd(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    await this.dockerdProcess.stop(signal);
    await this.startDockerd();
  }

  async restartPlugin(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    await this.pluginProcess.stop(signal);
    await this.startPlugin();
  }

  /** Overlay mounts below the driver's home. */
  async mounts(): Promise<string[]> {
    return (await this.jail.mounts()).filter((point) => point.startsWith(`${this.home}/`));
  }

  /** Layers, short links and trash below the driver's home: empty when all images and containers are gone. */
  async leftovers(): Promise<string[]> {
    const entries = await readdir(this.home, { withFileTypes: true });
    const layers = entries.filter((e) => e.isDirectory() && !PERMANENT.includes(e.name)).map((e) => e.name);
    const permanent = entries.map((e) => e.name).filter((name) => PERMANENT.includes(name));
    const inside = await Promise.all(
      permanent.map(async (name) => (await readdir(join(this.home, name))).map((child) => join(name, child))),
    );
    return [...layers, ...inside.flat()].sort();
  }

  /** The ends of the logs of both daemons. */
  async logs(): Promise<string> {
    const tails = ['plugin.log', 'dockerd.log'].map(async (name) => {
      const lines = (await readFile(this.path(name), 'utf8').catch(() => '(none)')).trimEnd().split('\n');
      const telling = lines.filter((line) => !CHATTER.test(line));
      return `--- ${name}\n${telling.slice(-LOG_TAIL_LINES).join('\n')}`;
    });
    return (await Promise.all(tails)).join('\n');
  }

  async close(): Promise<void> {
    await this.jail.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  private dockerdCommand(): string[] {
    const { storageOpts = [], usernsRemap, liveRestore, flags: further = [] } = this.options;
    const flags = [
      ...[
        '--experimental',
        '--log-level=warn',
        '-s',
        this.driver,
        '-H',
        `unix://${this.path('docker.sock')}`,
      ],
      ...[
        '--data-root',
        this.path('data'),
        '--exec-root',
        this.path('exec'),
        '--pidfile',
        this.path('dockerd.pid'),
      ],
      ...['--bridge=none', '--iptables=false', '--ip6tables=false', '--ip-forward=false'],
      // systemd's cgroup driver would reach the host's systemd.
      ...[
        '--exec-opt',
        'native.cgroupdriver=cgroupfs',
        `--cgroup-parent=/${this.jail.directory.split('/').at(-1)}`,
      ],
      ...storageOpts.flatMap((option) => ['--storage-opt', option]),
    ];
    if (usernsRemap) flags.push('--userns-remap=default');
    if (liveRestore) flags.push('--live-restore');
    return ['dockerd', ...flags, ...further];
  }
}

function ignoreExisting(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EEXIST') throw error;
}
