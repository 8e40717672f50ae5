/** Homes in a temporary directory, for the store's tests. */

import { mkdtemp, readFile, readdir, readlink, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { StoreHarness } from '../../conformance/layer-store.js';
import { waitFor } from '../../system/process.js';
import type { OpenedStore, StoreOptions } from '../../../src/store/open.js';
import { openStore } from '../../../src/store/open.js';
import { realDisk } from './disks.js';

export interface LoggedStore {
  readonly store: OpenedStore;
  /** Messages of warnings and errors. */
  readonly complaints: string[];
  /** Closes it when all that was removed is deleted, or was complained of. */
  finish(): Promise<void>;
}

export interface TestHome {
  readonly home: string;
  open(options?: Partial<StoreOptions>): Promise<LoggedStore>;
  remove(): Promise<void>;
}

export async function testHome(): Promise<TestHome> {
  const parent = await mkdtemp(join(tmpdir(), 'store-'));
  const home = join(parent, 'home');
  return {
    home,
    open: (options) => openLogged(home, options),
    remove: () => rm(parent, { recursive: true, force: true }),
  };
}

export async function openLogged(home: string, options: Partial<StoreOptions> = {}): Promise<LoggedStore> {
  const complaints: string[] = [];
  const complain = (_: unknown, message: string) => void complaints.push(message);
  const store = await openStore({
    home,
    idMaps: { uids: [], gids: [] },
    sync: 'off',
    mounted: async () => new Set(),
    lock: async () => async () => undefined,
    disk: realDisk,
    syncfs: async () => undefined,
    log: { info: () => undefined, warn: complain, error: complain },
    ...options,
  });
  const finish = async () => {
    await trashDone(home, complaints);
    await store.close();
  };
  return { store, complaints, finish };
}

async function trashDone(home: string, complaints: readonly string[]): Promise<void> {
  await waitFor('the trash to be emptied', async () => {
    const names = await readdir(join(home, '.trash'));
    return names.every((name) => complaints.some((complaint) => complaint.includes(name))) || undefined;
  });
}

/** Runs `body` on a fresh home, and removes that in any case. */
export function withHome(body: (home: TestHome) => Promise<void>): () => Promise<void> {
  return async () => {
    const home = await testHome();
    try {
      await body(home);
    } finally {
      await home.remove();
    }
  };
}

export async function harness(options: Partial<StoreOptions> = {}): Promise<StoreHarness> {
  const home = await testHome();
  let open = await home.open(options);
  return {
    store: open.store,
    async reopen() {
      await open.store.close();
      open = await home.open(options);
      return open.store;
    },
    async cleanup() {
      await open.store.close();
      await home.remove();
    },
  };
}

/** Everything below `root`: a path with mode and contents a line, sorted. Equal listings, equal trees. */
export async function listing(root: string): Promise<string[]> {
  const lines: string[] = [];
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    const name = path.slice(root.length + 1);
    if (entry.isSymbolicLink()) lines.push(`${name} -> ${await readlink(path)}`);
    else {
      const mode = ((await stat(path)).mode & 0o7777).toString(8);
      lines.push(
        entry.isDirectory() ? `${name}/ ${mode}` : `${name} ${mode} ${await readFile(path, 'utf8')}`,
      );
    }
  }
  return lines.sort();
}
