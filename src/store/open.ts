/** The LayerStore over real directories. */

import { chmod, chown, mkdir, stat } from 'node:fs/promises';

import type { Disk, Owner } from '../core/disk.js';
import { fromErrno } from '../core/errno.js';
import type { IdMaps, LayerId } from '../core/model.js';
import type { SyncMode } from '../core/options.js';
import type { LayerStore } from '../core/ports.js';
import { change } from './change.js';
import { ownersFor } from './context.js';
import type { StoreContext } from './context.js';
import { createLayer } from './create.js';
import { LayerIndex } from './layer-index.js';
import type { StoreLog } from './log.js';
import { homePaths, layerPaths } from './paths.js';
import { planRecovery } from './plan.js';
import { updateRecord } from './publish.js';
import { dropOrphanLinks, recover } from './recover.js';
import { readDescriptor } from './thin.js';
import { reloadLayer } from './reload.js';
import { exists, noDirectory } from './exists.js';
import { removeLayer } from './remove.js';
import { scanHome } from './scan.js';
import { Stagings } from './staging.js';
import { Trash } from './trash.js';
import { Turns } from './turns.js';

export interface StoreOptions {
  /** Made if missing. */
  readonly home: string;
  readonly idMaps: IdMaps;
  readonly sync: SyncMode;
  /** Layers that are mounted, by mountinfo. Asked for with the lock held: until then another daemon may mount and unmount. */
  readonly mounted: () => Promise<ReadonlySet<LayerId>>;
  /** Takes an exclusive lock on a file, made if missing, and answers how to give it back. Rejects if another process has it. */
  readonly lock: (path: string) => Promise<() => Promise<void>>;
  /** Writes all of the file system that holds `path` to disk. */
  readonly syncfs: (path: string) => Promise<void>;
  readonly log: StoreLog;
  /** Sets a project quota on a new layer's directory while it is empty. Without it `quota` is only kept in the record. */
  readonly limit?: (directory: string, bytes: number) => Promise<void>;
  readonly disk: Disk;
}

export interface OpenedStore extends LayerStore {
  /** Mounted layers of which nothing is known: whoever removed them lost the unmount. */
  readonly orphans: readonly LayerId[];
  /** Out of the way at once, deleted in the background. `name` is for its place in the trash. No such directory: success. */
  throwAway(path: string, name: string): Promise<void>;
}

/** Locks the home, mends what a crash left, reads the layers. Rejects if the home itself cannot be used. */
export async function openStore(options: StoreOptions): Promise<OpenedStore> {
  const store = contextOf(options);
  const { paths, owners } = store;
  try {
    await makeOurs(paths.home, 0o710, owners.directory);
    const unlock = await options.lock(paths.lock);
    try {
      await makeOurs(paths.links, 0o700, null);
      await makeOurs(paths.trash, 0o700, null);
      const orphans = await load(store, await options.mounted());
      return layerStore(store, orphans, unlock);
    } catch (error) {
      await store.trash.stop();
      await unlock();
      throw error;
    }
  } catch (error) {
    throw fromErrno(error, { op: 'open', path: options.home });
  }
}

function contextOf(options: StoreOptions): StoreContext {
  const paths = homePaths(options.home);
  return {
    paths,
    disk: options.disk,
    index: new LayerIndex(options.home),
    trash: new Trash(options.disk, paths.trash, options.log),
    turns: new Turns(),
    log: options.log,
    sync: options.sync,
    owners: ownersFor(options.idMaps),
    syncfs: options.syncfs,
    limit: options.limit,
    closed: false,
  };
}

/** An existing one gets mode and owner too: Docker's driver of before CVE-2021-41091 left it too open, or too closed. */
async function makeOurs(path: string, mode: number, owner: Owner | null): Promise<void> {
  if (!(await exists(path))) await mkdir(path);
  else if (!(await stat(path)).isDirectory()) throw noDirectory(path);
  await chmod(path, mode);
  if (owner) await chown(path, owner.uid, owner.gid);
}

async function load(store: StoreContext, mounted: ReadonlySet<LayerId>): Promise<LayerId[]> {
  const { paths, trash, index, log } = store;
  await trash.empty();
  const plan = planRecovery(await scanHome(paths.home), mounted);
  await recover(store, plan);
  await dropOrphanLinks(store, plan.orphanLinks);
  for (const [layer, reason] of index.broken()) log.error({ layer }, `layer ${layer} is broken: ${reason}`);
  return [...mounted].filter((id) => !index.has(id));
}

function layerStore(
  store: StoreContext,
  orphans: readonly LayerId[],
  unlock: () => Promise<void>,
): OpenedStore {
  const { index, turns, trash } = store;
  const stagings = new Stagings(store);
  return {
    orphans,
    throwAway: (path, name) => trash.throwAway(path, name),
    get: (id) => index.get(id),
    list: () => index.list(),
    hasChildren: (id) => index.hasChildren(id),
    broken: () => index.broken(),
    links: (id) => index.links(id),
    create: (record) => change(store, 'create', record.id, () => createLayer(store, record)),
    update: (record) => change(store, 'update', record.id, () => updateRecord(store, record)),
    descriptor: (id, repository) =>
      change(store, 'descriptor', id, () =>
        readDescriptor(layerPaths(store.paths.home, id).diff, repository),
      ),
    stage: (id) => change(store, 'stage', id, () => stagings.stage(id)),
    remove: (id) =>
      change(store, 'remove', id, async () => {
        await removeLayer(store, id);
        stagings.forget(id);
      }),
    reload: (id) =>
      change(store, 'reload', id, () => {
        stagings.forget(id);
        return reloadLayer(store, id);
      }),
    async close() {
      if (store.closed) return;
      store.closed = true;
      // First: a turn may wait for room on a full disk.
      await trash.stop();
      await turns.idle();
      await unlock();
    },
  };
}
