/** A repository made for measuring, its server, and the clients with it mounted; beside them the same tree on the local disk. */

import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { findProgram } from '../../src/cvmfs/cvmfs2-command.js';
import { RepositoryMaker } from '../cvmfs/maker/repository-maker.js';
import { SourceTree } from '../cvmfs/maker/source-tree.js';
import { Jail } from '../system/jail.js';
import { check } from '../system/process.js';
import { PROJECT_ROOT } from '../system/project.js';
import { CernsClient, OurClient } from './mounted-client.js';
import type { MountedClient } from './mounted-client.js';

const FQRN = 'bench.example.org';
const PORT = 8000;
/** Read to see that a mount stands. */
export const FIRST_FILE = 'd0/f0';
const FILES_IN_DIRECTORY = 100;
const DIRECTORIES_IN_CATALOG = 50;
export const LARGE_FILE_BYTES = 40 << 20;

export class ClientLab implements AsyncDisposable {
  readonly clients: readonly MountedClient[];
  private readonly jail: Jail;
  private readonly maker: RepositoryMaker;
  private readonly tree: SourceTree;

  private constructor(jail: Jail, tree: SourceTree) {
    this.jail = jail;
    this.tree = tree;
    this.maker = new RepositoryMaker(join(jail.directory, 'site'), FQRN);
    const key = this.maker.options.keys.masterPublicPem;
    const site = { fqrn: FQRN, url: `http://127.0.0.1:${PORT}`, key };
    const cerns = findProgram('cvmfs2') === null ? [] : [new CernsClient(jail, site)];
    this.clients = [new OurClient(jail, site), ...cerns];
  }

  /** A tree of so many small files and one large one, published and mounted. */
  static async start(files: number): Promise<ClientLab> {
    const lab = new ClientLab(await Jail.make(), treeOf(files));
    try {
      lab.maker.publish(lab.tree);
      await lab.serve();
      for (const client of lab.clients) {
        await client.prepare();
        await client.mount(FIRST_FILE);
      }
      return lab;
    } catch (error) {
      await lab.jail.close();
      throw error;
    }
  }

  get copy(): string {
    return join(this.jail.directory, 'copy');
  }

  /** Puts the tree on the local disk, too. */
  async copyTree(): Promise<void> {
    await check('cp', ['-a', `${this.clients[0]?.mounted}/.`, this.copy]);
  }

  /** Publishes another revision. */
  change(): void {
    const contents = createHash('md5').update(String(Math.random())).digest();
    this.maker.publish(this.tree.file(`/${FIRST_FILE}`, contents));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.jail.close();
  }

  private async serve(): Promise<void> {
    const program = join(PROJECT_ROOT, 'dist/test/cvmfs/serve.js');
    const command = [process.execPath, program, String(PORT), join(this.jail.directory, 'site')];
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
