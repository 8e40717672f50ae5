/** A `thinlayer-cvmfs` of a test's own: a real process, mounted in a temporary directory, gone with the test. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { Readable } from 'node:stream';
import type { TestContext } from 'node:test';

import { askClient } from '../../src/cvmfs/client-socket.js';
import type { ClientStatus } from '../../src/cvmfs/embedded/client.js';
import { loadAddon } from '../../src/host/addon.js';
import { run } from '../native/cvmfs-fixture.js';
import { FIXTURES } from '../pure/cvmfs/fixtures.js';
import { CVMFS_CLIENT, PROJECT_ROOT } from '../system/project.js';

/** So that a server that hangs is given up after a second. */
const IMPATIENT = {
  CVMFS_HTTP_PROXY: 'DIRECT',
  CVMFS_TIMEOUT: '1',
  CVMFS_TIMEOUT_DIRECT: '1',
  CVMFS_MAX_RETRIES: '1',
  CVMFS_BACKOFF_INIT: '0',
  CVMFS_KCACHE_TIMEOUT: '0',
};

export interface MountedOptions {
  /** Of `NAME.example.org`, in test/fixtures/cvmfs/keys. */
  readonly name?: string;
  readonly servers: readonly string[];
  readonly settings?: Readonly<Record<string, string>>;
  readonly directory?: string;
  /** Its text, in place of the fixture's. */
  readonly key?: string;
  /** More of its command line. */
  readonly arguments?: readonly string[];
}

export class MountedClient {
  readonly directory: string;
  readonly fqrn: string;
  readonly mountpoint: string;
  readonly cache: string;
  readonly socket: string;
  /** What it wrote of itself so far. */
  log = '';
  process!: ChildProcess;
  readonly #arguments: readonly string[];

  private constructor(fqrn: string, directory: string, more: readonly string[]) {
    this.#arguments = more;
    this.directory = directory;
    this.fqrn = fqrn;
    this.mountpoint = join(directory, 'mnt');
    this.cache = join(directory, 'cache/thinlayer', fqrn);
    this.socket = join(directory, 'control');
  }

  static async start(t: TestContext, options: MountedOptions): Promise<MountedClient> {
    const directory = options.directory ?? mkdtempSync(join(tmpdir(), 'thinlayer-client-'));
    const client = new MountedClient(
      `${options.name ?? 'thin'}.example.org`,
      directory,
      options.arguments ?? [],
    );
    t.after(() => client.#remove());
    client.#configure(options);
    await client.launch();
    return client;
  }

  /** Rejects with what it says if it cannot mount. */
  async launch(): Promise<void> {
    const places = [this.fqrn, this.mountpoint, '--config-dir', join(this.directory, 'etc')];
    const answers = ['--control', this.socket, '--report-fd', '3'];
    this.process = spawn(process.execPath, [CVMFS_CLIENT, ...places, ...answers, ...this.#arguments], {
      stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
      cwd: '/',
    });
    const stderr = (this.process.stderr as Readable).setEncoding('utf8');
    stderr.on('data', (more: string) => (this.log += more));
    const log = text(stderr);
    const report = JSON.parse((await text(this.process.stdio[3] as Readable)) || '{}') as { mounted?: true };
    if (report.mounted) return void log.catch(() => undefined);
    throw new Error(await log);
  }

  async status(): Promise<ClientStatus> {
    return (await this.ask('GET', '/status')) as ClientStatus;
  }

  ask(method: string, path: string): Promise<unknown> {
    return askClient(this.socket, method, path);
  }

  sh(script: string): Promise<string> {
    return run('bash', '-c', `cd "$0" && ${script}`, this.mountpoint);
  }

  /** Neither the kernel nor the cache has its content any more. */
  async forget(path: string, object: string): Promise<void> {
    // To open it would fetch it.
    if (existsSync(join(this.cache, object)))
      await this.sh(`dd if=${path} iflag=nocache count=0 status=none`);
    const evicted = this.ask('POST', `/cache/evict?object=${encodeURIComponent(object)}`);
    await evicted.catch(({ code }) => assert.equal(code, 'not_found'));
  }

  /** Asks until it is so; each question takes the process a turn. */
  async until(isSo: () => Promise<boolean>): Promise<void> {
    for (let asked = 0; !(await isSo()); ++asked) assert.ok(asked < 5_000, 'it does not come true');
  }

  /** Its exit code. */
  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return this.process.exitCode;
    const ended = once(this.process, 'exit');
    this.process.kill(signal);
    return ((await ended) as [number | null])[0];
  }

  #configure({ servers, settings, key }: MountedOptions): void {
    mkdirSync(join(this.directory, 'etc/config.d'), { recursive: true });
    mkdirSync(this.mountpoint, { recursive: true });
    const keyFile = join(this.directory, 'etc/key.pub');
    writeFileSync(keyFile, key ?? readFileSync(join(PROJECT_ROOT, FIXTURES, 'keys', `${this.fqrn}.pub`)));
    const all = {
      ...IMPATIENT,
      CVMFS_SERVER_URL: `"${servers.join(';')}"`,
      CVMFS_PUBLIC_KEY: keyFile,
      CVMFS_CACHE_BASE: join(this.directory, 'cache'),
      ...settings,
    };
    const lines = Object.entries(all).map(([name, value]) => `${name}=${value}\n`);
    writeFileSync(join(this.directory, `etc/config.d/${this.fqrn}.conf`), lines.join(''));
  }

  async #remove(): Promise<void> {
    await this.end();
    await loadAddon()
      .unmount(this.mountpoint)
      .catch(() => undefined);
    rmSync(this.directory, { recursive: true, force: true });
  }
}
