/** A lab that has its images from afar: a repository and a registry behind a slow link. */

import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';

import { askClient } from '../../src/cvmfs/client-socket.js';
import { IMAGES_FQRN, publishImage } from '../cvmfs/publish-image.js';
import { importTree } from '../system/images.js';
import { ready } from '../system/jail.js';
import { Lab } from '../system/lab.js';
import { check, run, waitFor } from '../system/process.js';
import { CACHE, PROJECT_ROOT } from '../system/project.js';
import { dropCaches } from './client-lab.js';

const FAR = '10.0.0.2';
const REGISTRY = `${FAR}:5000`;
/** In the jail. */
const CONFIG = '/run/cvmfs-config';
const RATE = '100mbit';
export const FAT = `${REGISTRY}/fat`;
export const THIN = `${REGISTRY}/thin`;

/** Milliseconds that the repository's server waits before it answers, and its port. */
export const PORTS = { 0: 8000, 20: 8020 } as const;
export type Latency = keyof typeof PORTS;

export class ThinLab implements AsyncDisposable {
  readonly lab: Lab;
  private latency: Latency = 0;

  private constructor(lab: Lab) {
    this.lab = lab;
  }

  static async start(): Promise<ThinLab> {
    const tar = join(CACHE, 'debian-image.tar');
    await check('bash', [join(PROJECT_ROOT, 'test/setup/debian-image.sh')]);
    let thin: ThinLab | undefined;
    const lab = await Lab.start({
      directories: [CONFIG],
      storageOpts: [`cvmfs.config_dir=${CONFIG}`],
      flags: ['--insecure-registry', REGISTRY],
    });
    try {
      thin = new ThinLab(lab);
      await thin.publish(tar);
      await thin.serve();
      await thin.fill(tar);
      return thin;
    } catch (error) {
      await lab.close();
      throw error;
    }
  }

  /** Bytes that came over the link so far, with all headers. */
  async bytes(): Promise<number> {
    const [link] = JSON.parse(await this.lab.jail.run(['ip', '-s', '-j', 'link', 'show', 'near'])) as [
      { stats64: { rx: { bytes: number } } },
    ];
    return link.stats64.rx.bytes;
  }

  /** Objects that the server was asked for since the last call, as often as it was. */
  async requests(): Promise<string[]> {
    const lines = (await readFile(this.lab.path('far.log'), 'utf8')).split('\n');
    const objects = lines.filter((line) => line.startsWith('/data/')).map((line) => line.split(' ')[0] ?? '');
    return objects.splice(this.told, (this.told = objects.length));
  }
  private told = 0;

  /** As on a machine where nothing of the repository ever was, or nothing but its profiles; what else it runs is in memory. */
  async forget(keep: 'nothing' | 'profiles', latency: Latency): Promise<void> {
    await this.endClient();
    await this.removeObjects(keep);
    if (latency === this.latency) return;
    const path = this.path('config/config.d', `${IMAGES_FQRN}.conf`);
    await check('sed', ['-i', `s|:${PORTS[this.latency]}|:${PORTS[latency]}|`, path]);
    this.latency = latency;
  }

  /**
   * The repository stays mounted, and its catalogs are known; the kernel, too, forgets what it has of its files, and with
   * them the programs of this machine, which are read from its disk again.
   */
  async emptyCache(keep: 'nothing' | 'profiles'): Promise<void> {
    await this.removeObjects(keep);
    await dropCaches();
  }

  private async removeObjects(keep: 'nothing' | 'profiles'): Promise<void> {
    const cache = this.path('config/cache/thinlayer', IMAGES_FQRN);
    for (const name of await readdir(cache).catch(() => [])) {
      const goes = /^[0-9a-f]{2}$/.test(name) || (name === 'profiles' && keep === 'nothing');
      if (goes) await rm(join(cache, name), { recursive: true });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.lab.close();
  }

  private path(...names: string[]): string {
    return this.lab.path('far', ...names);
  }

  private async publish(tar: string): Promise<void> {
    const [site, config, image] = [this.path('site'), this.path('config'), this.path('image')];
    await publishImage({ tar, site, config, image, url: `http://${FAR}:${PORTS[0]}` });
    // The option was given before there was anything to name.
    await this.lab.jail.run(['mount', '--bind', config, CONFIG]);
  }

  private async serve(): Promise<void> {
    const registry = `{"version":"0.1","log":{"level":"error","accesslog":{"disabled":true}},"storage":{"filesystem":{"rootdirectory":"${this.path('registry')}"}},"http":{"addr":"${REGISTRY}"}}`;
    const server = (latency: Latency) =>
      `${process.execPath} ${join(PROJECT_ROOT, 'dist/test/cvmfs/serve.js')} --address ${FAR} --delay ${latency} ${PORTS[latency]} ${this.path('site')} &`;
    const script = `${server(0)} ${server(20)} docker-registry serve <(echo '${registry}') & wait`;
    const command = ['bash', join(PROJECT_ROOT, 'test/bench/far-side.sh'), RATE, 'bash', '-c', script];
    const far = await this.lab.jail.start({ name: 'far', command, log: this.lab.path('far.log') });
    for (const port of [...Object.values(PORTS), 5000]) {
      const [program = '', ...args] = this.lab.jail.enter(['bash', '-c', `exec 3<>/dev/tcp/${FAR}/${port}`]);
      await ready(far, async () => (await run(program, args)).code === 0);
    }
  }

  private async fill(tar: string): Promise<void> {
    await importTree(this.lab, THIN, this.path('image'));
    await this.lab.docker('push', '-q', THIN);
    await this.lab.docker('import', tar, FAT);
    await this.lab.docker('push', '-q', FAT);
    await this.lab.docker('rmi', FAT);
  }

  /** The daemon notices, and starts it again when it is needed. */
  private async endClient(): Promise<void> {
    const directory = `/proc/${this.lab.jail.init}/root/run/thinlayer/cvmfs`;
    for (const name of await readdir(directory).catch(() => [])) {
      const socket = join(directory, name);
      const answers = () =>
        askClient(socket, 'GET', '/status').then(
          () => true,
          () => false,
        );
      if (!(await answers())) continue;
      await askClient(socket, 'POST', '/quit');
      await waitFor('the client to end', async () => !(await answers()) || undefined);
    }
    await waitFor('its mount to go', async () => {
      const left = (await this.lab.jail.mounts()).some((point) => point.endsWith(IMAGES_FQRN));
      return !left || undefined;
    });
  }
}
