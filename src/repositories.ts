/** The sources of CVMFS repositories that the options choose: a part of the composition root (see main.ts). */

import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import type { Logger } from 'pino';

import type { CvmfsMount } from './core/options.js';
import { CVMFS_RUN_DIRECTORY } from './core/places.js';
import type { Mounter } from './core/ports.js';
import type { RepositorySource } from './core/repository.js';
import type { HomeConfig } from './core/service.js';
import { chosenSource } from './cvmfs/chosen-source.js';
import { findProgram } from './cvmfs/cvmfs2-command.js';
import { cvmfs2Source } from './cvmfs/cvmfs2-source.js';
import { DEFAULT_DIRECTORY } from './cvmfs/embedded/config/load.js';
import { embeddedSource } from './cvmfs/embedded-source.js';
import { externalSource, HOST_REPOSITORIES } from './cvmfs/external.js';
import { loadAddon } from './host/addon.js';
import type { PlaceFunctions } from './host/addon.js';
import { tryLock } from './host/lock.js';
import { readHomeMounts } from './host/mountinfo.js';

const CLIENT = fileURLToPath(new URL('../bin/thinlayer-cvmfs.js', import.meta.url));

/** One instance of each kind that is asked for. */
export function repositorySource(config: HomeConfig, mounter: Mounter, log: Logger): RepositorySource {
  const { cvmfsMount, cvmfsMounts } = config.options;
  const program = findProgram('cvmfs2');
  const made = new Map<CvmfsMount, RepositorySource>();
  const sourceOf = (mount: CvmfsMount): RepositorySource => {
    const kind = mount === 'internal' ? (program === null ? 'embedded' : 'cvmfs2') : mount;
    const source = made.get(kind) ?? makeSource(kind, config, mounter, log, program);
    made.set(kind, source);
    return source;
  };
  const others = new Map([...cvmfsMounts].map(([repository, mount]) => [repository, sourceOf(mount)]));
  return chosenSource(sourceOf(cvmfsMount), others);
}

function makeSource(
  kind: Exclude<CvmfsMount, 'internal'>,
  { home, options, idMaps }: HomeConfig,
  mounter: Mounter,
  log: Logger,
  program: string | null,
): RepositorySource {
  const places = {
    directory: join(home, 'cvmfs'),
    configDirectory: options.cvmfsConfigDirectory ?? DEFAULT_DIRECTORY,
    logDirectory: join(home, 'cvmfs'),
    idMaps,
    unmount: (mountpoint: string) => mounter.unmount(mountpoint),
    isMounted: async (repository: string) => (await readHomeMounts(home)).repositories.includes(repository),
  };
  switch (kind) {
    case 'external':
      return externalSource({
        lookAt: (directory, repository) =>
          loadAddon<PlaceFunctions>().lookAtRepository(directory, repository),
        directory: HOST_REPOSITORIES,
      });
    case 'embedded':
      return embeddedSource({
        ...places,
        runDirectory: CVMFS_RUN_DIRECTORY,
        command: [process.execPath, CLIENT],
        lock: (path) => tryLock(loadAddon(), path, ''),
        ...(options.cvmfsPrefetch && {
          prefetchFailed: ({ message }) =>
            log.warn(`what an image reads at its start is not remembered: ${message}`),
        }),
      });
    case 'cvmfs2':
      return cvmfs2Source({
        ...places,
        program,
        runDirectory: '/run/thinlayer/cvmfs2',
      });
  }
}
