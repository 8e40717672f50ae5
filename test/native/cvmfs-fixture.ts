/** Sample repositories, mounted by the native client. Objects come from the repository's own files, unverified. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { mkdir, mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { inflateSync } from 'node:zlib';

import { mountRepository } from '../../src/cvmfs/embedded/mount.js';
import type { CvmfsMount, Miss, MountOptions } from '../../src/cvmfs/embedded/mount.js';
import { loadAddon } from '../../src/host/addon.js';
import { mountsBelow } from './scratch-home.js';

export const FIXTURES = fileURLToPath(new URL('../../../test/fixtures/cvmfs/', import.meta.url));
const POISON = fileURLToPath(new URL('../../../test/native/poison-catalog.py', import.meta.url));
export const LIST_TREE = fileURLToPath(new URL('../../../test/native/list-tree.py', import.meta.url));

export const cannotMount: string | false =
  process.getuid?.() === 0 && existsSync('/dev/fuse')
    ? false
    : 'NEEDS ROOT AND /dev/fuse: nothing was mounted';

export const EIO = 5;

const NO_IDS = { entries: new Map<number, number>(), others: null };

type Answer = number | Promise<number> | null;

export class MountedFixture {
  readonly mountpoint: string;
  readonly cache: string;
  readonly misses: Miss[] = [];
  /** Paths of files that were told ahead of their readers. */
  readonly told: string[] = [];
  /** How often the mount ended by itself. */
  readonly ends: (Error | undefined)[] = [];
  onEnd: (error: Error | undefined) => void = () => undefined;
  /** Answers a miss in place of the fixture's files; null: as usual. */
  answer: (miss: Miss) => Answer = () => null;
  mount!: CvmfsMount;
  readonly base: string;
  readonly #folders: readonly string[];

  private constructor(base: string, folders: readonly string[]) {
    this.base = base;
    this.mountpoint = join(base, 'mnt');
    this.cache = join(base, 'cache');
    this.#folders = folders;
  }

  /** `folders` of test/fixtures/cvmfs, or of elsewhere by absolute paths; later ones laid over earlier ones; the first one's manifest is mounted. */
  static async make(
    t: TestContext,
    folders: readonly string[],
    change: Partial<MountOptions> = {},
  ): Promise<MountedFixture> {
    const base = await realpath(await mkdtemp(join(tmpdir(), 'thinlayer-cvmfs-')));
    const fixture = new MountedFixture(base, folders);
    t.after(async () => {
      const others = (await mountsBelow(base)).filter(({ type }) => type !== 'fuse.cvmfs');
      for (const { mountPoint } of others.reverse()) await loadAddon().unmount(mountPoint);
      await fixture.mount?.unmount();
      await rm(base, { recursive: true, force: true });
    });
    await Promise.all([mkdir(fixture.mountpoint), mkdir(fixture.cache)]);
    fixture.mount = await mountRepository(
      fixture.options(change),
      (miss) => void fixture.#answer(miss),
      (error) => {
        fixture.ends.push(error);
        fixture.onEnd(error);
      },
      (files) => void fixture.told.push(...files.map(({ path }) => path)),
    );
    await fixture.show(folders[0] ?? '');
    return fixture;
  }

  options(change: Partial<MountOptions>): MountOptions {
    return {
      mountpoint: this.mountpoint,
      cache: this.cache,
      fqrn: 'thin.example.org',
      owner: null,
      uidMap: NO_IDS,
      gidMap: NO_IDS,
      namespace: { uids: [], gids: [] },
      layers: false,
      variables: { CVMFS_FIX_ARCH: 'x86_64' },
      suid: true,
      magicXattrs: 'rootonly',
      kernelCacheSeconds: 60,
      mountOptions: [],
      ...change,
    };
  }

  /** The root catalog of this folder's manifest. */
  async show(folder: string): Promise<void> {
    const manifest = readFileSync(resolve(FIXTURES, folder, '.cvmfspublished'), 'latin1');
    const field = (letter: string): string => new RegExp(`^${letter}(.*)$`, 'm').exec(manifest)?.[1] ?? '';
    const hash = field('C');
    const object = `${hash.slice(0, 2)}/${hash.slice(2)}C`;
    this.provide(object, true);
    await this.mount.setRoot(object, Number(field('S')));
  }

  /** Puts an object into the cache. Synchronous: the pool's threads may all wait for the mount. False: there is none. */
  provide(object: string, compressed: boolean): boolean {
    const paths = this.#folders.flatMap((folder) => [
      resolve(FIXTURES, folder, 'data', object.replace('.raw', '')),
      resolve(FIXTURES, folder, `.cvmfsalt-${object.replace('/', '')}`),
    ]);
    const found = paths.findLast((path) => existsSync(path));
    if (found === undefined) return false;
    const stored = readFileSync(found);
    const target = join(this.cache, object);
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(`${target}.part`, compressed ? inflateSync(stored) : stored);
    renameSync(`${target}.part`, target);
    return true;
  }

  async #answer(miss: Miss): Promise<void> {
    this.misses.push(miss);
    const special = this.answer(miss);
    const errno = special === null ? (this.provide(miss.object, miss.compressed) ? 0 : EIO) : await special;
    this.mount.complete(miss.number, errno);
  }

  /** What the mount shows at `path` and below. */
  async list(path = ''): Promise<Listed[]> {
    return parseListing(await run('python3', LIST_TREE, this.mountpoint + path));
  }

  sh(script: string): Promise<string> {
    return run('bash', '-c', `cd "$0" && ${script}`, this.mountpoint);
  }
}

export interface Listed {
  readonly path?: string;
  readonly path_b64?: string;
  readonly type: string;
  readonly error?: number;
  readonly variant?: boolean;
  readonly xattrs?: Readonly<Record<string, string>>;
  readonly [field: string]: unknown;
}

export function parseListing(text: string): Listed[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Listed);
}

export function readListing(...path: string[]): Listed[] {
  return parseListing(readFileSync(join(FIXTURES, ...path), 'utf8'));
}

export const keyOf = (entry: Listed): string => entry.path ?? `base64:${entry.path_b64}`;

/** Copies a catalog, and runs SQL on the copy: see poison-catalog.py. */
export async function poisonCatalog(from: string, to: string, sql: string): Promise<void> {
  const child = spawn('python3', [POISON, from, to], { stdio: ['pipe', 'inherit', 'inherit'] });
  child.stdin.end(sql);
  const [code] = (await once(child, 'close')) as [number];
  assert.equal(code, 0, sql);
}

/** The output of a program that touches the mount: never this process itself, which has to answer it. */
export function run(command: string, ...args: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    const [out, err]: [Buffer[], Buffer[]] = [[], []];
    child.stdout.on('data', (data: Buffer) => out.push(data));
    child.stderr.on('data', (data: Buffer) => err.push(data));
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolve(Buffer.concat(out).toString());
      else
        reject(
          new Error(`${command} ${args.join(' ')} ended with ${code}: ${Buffer.concat(err).toString()}`),
        );
    });
  });
}
