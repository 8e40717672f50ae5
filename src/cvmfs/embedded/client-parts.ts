/** What a client is made of, as its options say. */

import { EMPTY_BLACKLIST, parseBlacklist } from './blacklist.js';
import type { Blacklist } from './blacklist.js';
import type { CatalogPins } from './cache/catalog-pins.js';
import type { ClientOptions } from './client.js';
import { SYSTEM_CLOCK } from './clock.js';
import type { ConfigFiles } from './config/config-files.js';
import type { MountArguments } from './config/mount-arguments.js';
import { Damage } from './damage.js';
import type { Failures } from './failures.js';
import { FETCH_DEFAULTS } from './fetch/fetcher.js';
import type { Fetcher } from './fetch/fetcher.js';
import { mountRepository } from './mount.js';
import type { CvmfsMount, MountOptions } from './mount.js';
import type { Objects } from './objects.js';
import { Starts } from './prefetch/starts.js';
import { provide } from './provide.js';
import { Repository } from './repository.js';
import type { RepositoryOptions } from './repository.js';
import { readMasterKey } from './trust.js';

export function openRepository(
  { config, files, signal }: ClientOptions,
  fetcher: Fetcher,
  objects: Objects,
  told: Pick<RepositoryOptions, 'onEvent' | 'show'>,
): Promise<Repository> {
  return Repository.open(
    {
      fqrn: config.fqrn,
      pinned: config.pinned,
      keys: config.publicKeys.map(({ pem, path }) => readMasterKey(pem, path)),
      blacklist: () => readBlacklist(config.blacklists, files),
      fetcher,
      objects,
      clock: SYSTEM_CLOCK,
      ...(config.maxTtlSeconds !== null && { maxTtlSeconds: config.maxTtlSeconds }),
      ...told,
    },
    signal,
  );
}

function readBlacklist(paths: readonly string[], files: ConfigFiles): Blacklist {
  const texts = paths.map((path) => files.read(path) ?? '');
  return texts.some((text) => text !== '') ? parseBlacklist(texts.join('\n')) : EMPTY_BLACKLIST;
}

export function newStarts({ config, log }: ClientOptions, objects: Objects, noteUsed: () => void): Starts {
  const { fqrn } = config;
  return new Starts({ fqrn, objects, connections: FETCH_DEFAULTS.connections, log, noteUsed });
}

export interface MountParts {
  readonly repository: Repository;
  readonly objects: Objects;
  readonly pins: CatalogPins;
  readonly failures: Failures;
  /** Null: nothing is fetched ahead. */
  readonly starts: Starts | null;
}

export async function mountOn(
  options: ClientOptions,
  { repository, objects, pins, failures, starts }: MountParts,
): Promise<CvmfsMount> {
  const { config, arguments: args, log, ended } = options;
  const { view, fqrn, cache, variables } = config;
  const damage = new Damage({ cache: objects.cache, clock: SYSTEM_CLOCK, log });
  const letGo = () => mount.letGo();
  const context = { repository, pins, damage, failures, clock: SYSTEM_CLOCK, letGo };
  const mount: CvmfsMount = await mountRepository(
    {
      mountpoint: args.mountpoint,
      fqrn,
      cache: cache.directory,
      owner: view.claimOwnership ? claimant(args) : null,
      namespace: args.namespace,
      uidMap: view.uidMap,
      gidMap: view.gidMap,
      layers: args.layers,
      variables,
      suid: args.suid ?? view.suid,
      magicXattrs: listedMagic(config, args),
      kernelCacheSeconds: view.kernelCacheSeconds,
      mountOptions: args.mountOptions,
    },
    (miss) => {
      const work = () => provide(context, miss);
      // A profile names objects of the repository: whoever has it need not know of other servers.
      const provided = starts && !miss.external ? starts.duringMiss(miss, work) : work();
      void provided.then((errno) => mount.complete(miss.number, errno));
    },
    ended,
    starts ? (files) => void starts.lookAhead(files) : undefined,
  );
  return mount;
}

/**
 * What a file of a layer lists, overlayfs copies with it into a container's own layer, where it would tell of another file, and go
 * into images that are committed.
 */
function listedMagic(
  { view }: ClientOptions['config'],
  { layers }: Pick<MountArguments, 'layers'>,
): MountOptions['magicXattrs'] {
  return layers && view.magicXattrs === 'always' ? 'rootonly' : view.magicXattrs;
}

/** In a user name space its root; else whoever mounts. */
function claimant({ namespace: { uids, gids } }: Pick<MountArguments, 'namespace'>): {
  uid: number;
  gid: number;
} {
  return {
    uid: uids.length > 0 ? 0 : (process.getuid?.() ?? 0),
    gid: gids.length > 0 ? 0 : (process.getgid?.() ?? 0),
  };
}
