/** Clients that mount the bench's repository in its jail: ours, and CERN's `cvmfs2` where that is installed. */

import { existsSync } from 'node:fs';
import { mkdir, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';

import { askClient } from '../../src/cvmfs/client-socket.js';
import { talk } from '../../src/cvmfs/talk-socket.js';
import { writeClientConfig } from '../cvmfs/client-config.js';
import { CVMFS_CLIENT } from '../system/project.js';
import { waitFor } from '../system/process.js';
import type { Daemon, Jail } from '../system/jail.js';

export interface Site {
  readonly fqrn: string;
  readonly url: string;
  /** The master key, as PEM. */
  readonly key: string;
}

/** MiB: resident, and of that what is not the program itself, which all its processes share. */
export interface Memory {
  readonly resident: number;
  readonly own: number;
}

export abstract class MountedClient {
  abstract readonly label: string;
  protected readonly jail: Jail;
  protected readonly site: Site;
  private caches = 0;

  constructor(jail: Jail, site: Site) {
    this.jail = jail;
    this.site = site;
  }

  async prepare(): Promise<void> {
    await mkdir(this.mountpoint, { recursive: true });
    await writeClientConfig(this.config, this.site.fqrn, this.site);
  }

  /** As the measuring process reaches it. */
  get mounted(): string {
    return `/proc/${this.jail.init}/root${this.mountpoint}`;
  }

  /** Resolves when `file` can be read. */
  async mount(file: string): Promise<void> {
    await this.start();
    const path = join(this.mounted, file);
    await waitFor('the mount', async () => (await readFile(path).catch(() => undefined)) && true);
  }

  /** Without a cache, as on a new machine: the old one stays aside, since ext4 is slow to make files after it lost many. */
  async forget(): Promise<void> {
    await this.unmount();
    this.caches += 1;
    await rename(join(this.config, 'cache'), join(this.config, `cache-${this.caches}`));
  }

  async memory(): Promise<Memory> {
    const status = await readFile(join(await this.process(), 'status'), 'utf8');
    const mib = (key: string) => Number(new RegExp(`${key}:\\s+(\\d+)`).exec(status)?.[1]) / 1024;
    return { resident: mib('VmRSS'), own: mib('RssAnon') };
  }

  abstract unmount(): Promise<void>;
  abstract refresh(): Promise<void>;
  protected abstract start(): Promise<void>;
  /** Its directory in /proc, as the measuring process reaches it. */
  protected abstract process(): Promise<string>;

  protected get mountpoint(): string {
    return join(this.jail.directory, `${this.label}.mnt`);
  }

  protected get config(): string {
    return join(this.jail.directory, `${this.label}.config`);
  }
}

export class OurClient extends MountedClient {
  readonly label = 'thinlayer';
  private daemon: Daemon | undefined;

  protected async start(): Promise<void> {
    const options = ['--config-dir', this.config, '--control', this.control];
    this.daemon = await this.jail.start({
      name: 'thinlayer-cvmfs',
      command: [process.execPath, CVMFS_CLIENT, this.site.fqrn, this.mountpoint, ...options],
      log: join(this.jail.directory, 'client.log'),
    });
  }

  async unmount(): Promise<void> {
    await this.daemon?.stop();
  }

  async refresh(): Promise<void> {
    await askClient(this.control, 'POST', '/refresh');
  }

  protected process(): Promise<string> {
    return Promise.resolve(`/proc/${this.daemon?.pid}`);
  }

  private get control(): string {
    return join(this.jail.directory, 'control');
  }
}

export class CernsClient extends MountedClient {
  readonly label = 'cvmfs2';

  /** It goes into the background by itself, and makes none of its directories. */
  protected async start(): Promise<void> {
    const { fqrn } = this.site;
    await mkdir(this.cache, { recursive: true });
    await this.jail.run(['mkdir', '-p', '/var/run/cvmfs']);
    const options = `config=${join(this.config, `config.d/${fqrn}.conf`)},allow_other,cvmfs_suid`;
    await this.jail.run(['cvmfs2', '-o', options, fqrn, this.mountpoint]);
  }

  async unmount(): Promise<void> {
    const process = await this.process();
    await this.jail.run(['umount', this.mountpoint]);
    await waitFor('the end of cvmfs2', () => Promise.resolve(existsSync(process) ? undefined : true));
  }

  async refresh(): Promise<void> {
    await this.talk('remount sync');
  }

  /** The process id that it tells is that of the jail. */
  protected async process(): Promise<string> {
    return `/proc/${this.jail.init}/root/proc/${await this.talk('pid')}`;
  }

  private talk(command: string): Promise<string> {
    return talk(join(this.cache, `cvmfs_io.${this.site.fqrn}`), command);
  }

  private get cache(): string {
    return join(this.config, 'cache', this.site.fqrn);
  }
}
