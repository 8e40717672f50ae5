/** A repository made for measuring, its server, and `thinlayer-cvmfs` with it mounted; beside it the same tree on the local disk. */

import { createHash } from 'node:crypto';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { askClient } from '../../src/cvmfs/client-socket.js';
import { RepositoryMaker } from '../cvmfs/maker/repository-maker.js';
import { SourceTree } from '../cvmfs/maker/source-tree.js';
import { writeClientConfig } from '../cvmfs/client-config.js';
import { Jail } from '../system/jail.js';
import { check, waitFor } from '../system/process.js';
import { PROJECT_ROOT } from '../system/project.js';
import type { Daemon } from '../system/jail.js';

const FQRN = 'bench.example.org';
const PORT = 8000;
const FILES_IN_DIRECTORY = 100;
const DIRECTORIES_IN_CATALOG = 50;
export const LARGE_FILE_BYTES = 40 << 20;

/** MiB: resident, and of that what is not the program itself, which all processes of Node share. */
export interface Memory {
  readonly resident: number;
  readonly own: number;
}

export class ClientLab implements AsyncDisposable {
  private readonly jail: Jail;
  private readonly maker: RepositoryMaker;
  private readonly tree: SourceTree;
  private client: Daemon | undefined;

  private constructor(jail: Jail, tree: SourceTree) {
    this.jail = jail;
    this.tree = tree;
    this.maker = new RepositoryMaker(join(jail.directory, 'site'), FQRN);
  }

  /** A tree of so many small files and one large one, published and mounted. */
  static async start(files: number): Promise<ClientLab> {
    const lab = new ClientLab(await Jail.make(), treeOf(files));
    try {
      lab.maker.publish(lab.tree);
      const key = lab.maker.options.keys.masterPublicPem;
      await writeClientConfig(lab.path('config'), FQRN, { url: `http://127.0.0.1:${PORT}`, key });
      await lab.serve();
      await lab.mount();
      return lab;
    } catch (error) {
      await lab.jail.close();
      throw error;
    }
  }

  /** As the measuring process reaches it. */
  get mounted(): string {
    return `/proc/${this.jail.init}/root${this.path('mnt')}`;
  }

  get copy(): string {
    return this.path('copy');
  }

  /** Puts the tree on the local disk, too. */
  async copyTree(): Promise<void> {
    await check('cp', ['-a', `${this.mounted}/.`, this.copy]);
  }

  async mount(): Promise<void> {
    const program = join(PROJECT_ROOT, 'dist/src/cvmfs-main.js');
    const options = ['--config-dir', this.path('config'), '--control', this.path('control')];
    this.client = await this.jail.start({
      name: 'thinlayer-cvmfs',
      command: [process.execPath, '--max-semi-space-size=2', program, FQRN, this.path('mnt'), ...options],
      log: this.path('client.log'),
    });
    await waitFor('the mount', async () => (await readFile(this.mountedFile).catch(() => undefined)) && true);
  }

  /** Without a cache, as on a new machine: the old one stays aside, since ext4 is slow to make files after it lost many. */
  async forget(): Promise<void> {
    await this.unmount();
    this.caches += 1;
    await rename(this.path('config/cache'), this.path(`config/cache-${this.caches}`));
  }
  private caches = 0;

  async unmount(): Promise<void> {
    await this.client?.stop();
  }

  /** Publishes a change, and answers how to have it shown. */
  change(): () => Promise<void> {
    this.maker.publish(this.tree.file('/d0/f0', createHash('md5').update(String(Math.random())).digest()));
    return async () => void (await askClient(this.path('control'), 'POST', '/refresh'));
  }

  async memory(): Promise<Memory> {
    const status = await readFile(`/proc/${this.client?.pid}/status`, 'utf8');
    const mib = (key: string) => Number(new RegExp(`${key}:\\s+(\\d+)`).exec(status)?.[1]) / 1024;
    return { resident: mib('VmRSS'), own: mib('RssAnon') };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.jail.close();
  }

  private get mountedFile(): string {
    return join(this.mounted, 'd0/f0');
  }

  private path(name: string): string {
    return join(this.jail.directory, name);
  }

  private async serve(): Promise<void> {
    const program = join(PROJECT_ROOT, 'dist/test/cvmfs/serve.js');
    const command = [process.execPath, program, String(PORT), this.path('site')];
    await check('mkdir', [this.path('mnt')]);
    await this.jail.start({ name: 'server', command, log: '/dev/null' });
  }
}

/** What the kernel keeps of files, directories and inodes goes. */
export async function dropCaches(): Promise<void> {
  await check('sync', []);
  await writeFile('/proc/sys/vm/drop_caches', '3');
}

function treeOf(files: number): SourceTree {
  const tree = new SourceTree().file('/large', pseudoRandom('large', LARGE_FILE_BYTES));
  for (let i = 0; i < files; i++) {
    const directory = Math.floor(i / FILES_IN_DIRECTORY);
    tree.file(`/d${directory}/f${i % FILES_IN_DIRECTORY}`, text(i));
  }
  for (let d = DIRECTORIES_IN_CATALOG; d < files / FILES_IN_DIRECTORY; d += DIRECTORIES_IN_CATALOG)
    tree.nest(`/d${d}`);
  return tree;
}

/** No two alike, of 200 bytes to 8 kB, and compressible as text is. */
function text(seed: number): string {
  const word = createHash('md5').update(String(seed)).digest('base64');
  return `${word}\n`.repeat(8 + ((seed * 2654435761) % 312));
}

function pseudoRandom(seed: string, length: number): Buffer {
  return createHash('shake256', { outputLength: length }).update(seed).digest();
}
