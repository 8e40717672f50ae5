/** All that works on one home, made for it: the other half of the composition root (see main.ts). */

import type { Logger } from 'pino';

import { createArchive } from './archive/archive.js';
import { deriveMask } from './archive/derive-mask.js';
import { toHostId } from './core/model.js';
import type { LayerId } from './core/model.js';
import type { Engine, Mounter, Quota } from './core/ports.js';
import type { HomeConfig } from './core/service.js';
import { loadAddon } from './host/addon.js';
import type { DiskFunctions, HostAddon } from './host/addon.js';
import { createDisk } from './host/disk.js';
import { makeHome } from './host/home.js';
import { lockHome } from './host/lock.js';
import { createMounter } from './host/mounter.js';
import { readHomeMounts } from './host/mountinfo.js';
import { probeHome } from './host/probe.js';
import type { HomeProbe } from './host/probe.js';
import { createQuota, quotaUnsupported } from './host/quota.js';
import { createTreeReader } from './host/tree-reader.js';
import type { TreeReaderFunctions } from './host/tree-reader.js';
import { nativeTreeWriters } from './host/tree-writer.js';
import type { TreeWriterAddon } from './host/tree-writer.js';
import { dropMasks, masksOf } from './masks.js';
import type { Derive } from './masks.js';
import { repositorySource } from './repositories.js';
import { openStore } from './store/open.js';
import type { OpenedStore } from './store/open.js';
import { homePaths } from './store/paths.js';
import { openUseCounts } from './store/use-counts.js';

type Addon = HostAddon & DiskFunctions & TreeReaderFunctions & TreeWriterAddon;

/** Lock, recovery, probes, in this order. Rejects with what to do; then the lock is given back. */
export async function openEngine(config: HomeConfig, log: Logger): Promise<Engine> {
  const addon = loadAddon<Addon>();
  const quota = new LateQuota();
  await makeHome(config.home);
  const { layers: mounts, repositories: mountedRepositories } = await readHomeMounts(config.home);
  const mounted = new Set(mounts.filter((m) => m.kind === 'merged').map(({ id }) => id as LayerId));
  const store = await openStore({
    home: config.home,
    idMaps: config.idMaps,
    sync: config.options.sync,
    mounted,
    disk: createDisk(addon),
    lock: async () => (await lockHome(addon, config.home)).release,
    syncfs: (path) => addon.syncfs(path),
    limit: (directory, bytes) => quota.limit(directory, bytes),
    log,
  });
  try {
    const probe = await probeHome(addon, config.home, config.options);
    for (const warning of probe.warnings) log.warn({ home: config.home }, warning);
    if (config.options.defaultQuota !== null && probe.quotaRefusal !== null) {
      // Told at once, as Docker's driver does, and not by each container.
      throw quotaUnsupported(config.home, probe.quotaRefusal);
    }
    quota.is(createQuota(addon, { home: config.home, refusal: probe.quotaRefusal }));
    const left = mounts.filter((m) => m.kind !== 'merged').map(({ target }) => target);
    return await assemble({ config, addon, store, probe, mounted, mountedRepositories, left, log });
  } catch (error) {
    await store.close();
    throw error;
  }
}

interface Parts {
  readonly config: HomeConfig;
  readonly addon: Addon;
  readonly store: OpenedStore;
  readonly probe: HomeProbe;
  readonly mounted: ReadonlySet<LayerId>;
  readonly mountedRepositories: readonly string[];
  /** Targets of mounts that a killed daemon made for itself. */
  readonly left: readonly string[];
  readonly log: Logger;
}

async function assemble(parts: Parts): Promise<Engine> {
  const { config, addon, store, probe, mounted, mountedRepositories, log } = parts;
  const mounter = createMounter(addon, {
    ...probe.overlay,
    home: config.home,
    uid: toHostId(config.idMaps.uids, 0),
    gid: toHostId(config.idMaps.gids, 0),
  });
  await unmountLeft(mounter, parts);
  const inUse = await openUseCounts({
    directory: homePaths(config.home).uses,
    disk: createDisk(addon),
    mounted: [...mounted].filter((id) => !store.orphans.includes(id)),
    resumed: config.resumed,
  });
  const overlayPrefix = probe.overlay.userNamespace ? 'user.overlay.' : 'trusted.overlay.';
  const [reader, writers] = [createTreeReader(addon), nativeTreeWriters(addon)];
  const archive = createArchive(reader, writers, overlayPrefix);
  const derive: Derive = (tree, mask) => deriveMask(reader, writers, overlayPrefix, tree, mask);
  const masks = masksOf(config, addon, store, derive, log);
  log.info(
    {
      home: config.home,
      layers: [...store.list()].length,
      mounted: inUse.found.size,
      broken: store.broken().size,
    },
    `${config.home} is open`,
  );
  await dropMasks(store, masks, log);
  const repositories = repositorySource(config, mounter, log);
  return {
    config,
    facts: probe,
    store,
    mounter,
    archive,
    repositories,
    masks,
    mounted: inUse.found,
    uses: inUse,
    mountedRepositories,
  };
}

async function unmountLeft(mounter: Mounter, { config, store, left, log }: Parts): Promise<void> {
  for (const orphan of store.orphans) {
    log.warn({ layer: orphan }, `unmounting ${orphan}, which is mounted but has no record`);
    await mounter.unmount(`${config.home}/${orphan}/merged`);
  }
  for (const target of left) await mounter.unmount(target);
}

/** The store sets quotas, but what this file system can is known only after the store has taken the lock. */
class LateQuota implements Quota {
  #quota: Quota | undefined;

  is(quota: Quota): void {
    this.#quota = quota;
  }

  limit(directory: string, bytes: number): Promise<void> {
    if (!this.#quota) throw new Error('a quota was set before the home was probed');
    return this.#quota.limit(directory, bytes);
  }
}
