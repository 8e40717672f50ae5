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
import type { Patience } from './host/lock.js';
import { createMounter } from './host/mounter.js';
import { readHomeMounts } from './host/mountinfo.js';
import type { HomeMounts } from './host/mountinfo.js';
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

/**
 * For the end of the daemon that this one replaces: it has the home until its calls have ended. dockerd tries a call again
 * for as long. An Init waits for nobody: who is refused at once can mend it, and behind a remembered opening that waits for
 * our predecessor it stands in line anyway.
 */
const PATIENCE_MS = 30_000;

/**
 * Lock, recovery, probes, in this order. Rejects with what to do; then the lock is given back. `ending`: of the daemon,
 * which waits for no lock then.
 */
export async function openEngine(named: HomeConfig, log: Logger, ending: AbortSignal): Promise<Engine> {
  const addon = loadAddon<Addon>();
  const quota = new LateQuota();
  const config = { ...named, home: await makeHome(named.home) };
  let mounts: HomeMounts = { layers: [], repositories: [] };
  const store = await openStore({
    home: config.home,
    idMaps: config.idMaps,
    sync: config.options.sync,
    mounted: async () => {
      mounts = await readHomeMounts(config.home);
      return mergedIn(mounts);
    },
    disk: createDisk(addon),
    lock: async () => (await lockHome(addon, config.home, patienceOf(config, log, ending))).release,
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
    return await assemble({ config, addon, store, probe, mounts, log });
  } catch (error) {
    await store.close();
    throw error;
  }
}

function patienceOf({ home, resumed }: HomeConfig, log: Logger, ending: AbortSignal): Patience {
  const waits = (holder: string) =>
    log.info(
      { home },
      `${home} is in use by process ${holder}; if that is ending, as at a restart, this one goes on: waiting for up to ${PATIENCE_MS / 1000} s`,
    );
  return { ms: resumed ? PATIENCE_MS : 0, signal: ending, waits };
}

function mergedIn({ layers }: HomeMounts): Set<LayerId> {
  return new Set(layers.filter((m) => m.kind === 'merged').map(({ id }) => id as LayerId));
}

interface Parts {
  readonly config: HomeConfig;
  readonly addon: Addon;
  readonly store: OpenedStore;
  readonly probe: HomeProbe;
  readonly mounts: HomeMounts;
  readonly log: Logger;
}

async function assemble(parts: Parts): Promise<Engine> {
  const { config, addon, store, probe, mounts, log } = parts;
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
    mounted: [...mergedIn(mounts)].filter((id) => !store.orphans.includes(id)),
    resumed: config.resumed,
    log,
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
    mountedRepositories: mounts.repositories,
  };
}

async function unmountLeft(mounter: Mounter, { config, store, mounts, log }: Parts): Promise<void> {
  for (const orphan of store.orphans) {
    log.warn({ layer: orphan }, `unmounting ${orphan}, which is mounted but has no record`);
    await mounter.unmount(`${config.home}/${orphan}/merged`);
  }
  // Made by a killed daemon for itself.
  for (const { kind, target } of mounts.layers) if (kind !== 'merged') await mounter.unmount(target);
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
