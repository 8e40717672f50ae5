/** The source of CVMFS repositories that the options choose: a part of the composition root (see main.ts). */

import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import type { Logger } from 'pino';

import { ThinlayerError } from './core/errors.js';
import { CVMFS_RUN_DIRECTORY } from './core/places.js';
import type { Mounter } from './core/ports.js';
import type { RepositorySource } from './core/repository.js';
import type { HomeConfig } from './core/service.js';
import { embeddedSource } from './cvmfs/embedded-source.js';
import { externalSource, HOST_REPOSITORIES } from './cvmfs/external.js';

const CLIENT = fileURLToPath(new URL('./cvmfs-main.js', import.meta.url));

export function repositorySource(
  { home, options }: HomeConfig,
  mounter: Mounter,
  log: Logger,
): RepositorySource {
  switch (options.cvmfsMount) {
    case 'external':
      return externalSource({ locate: mounter.locate, directory: HOST_REPOSITORIES });
    case 'embedded':
      return embeddedSource({
        directory: join(home, 'cvmfs'),
        configDirectory: options.cvmfsConfigDirectory,
        runDirectory: CVMFS_RUN_DIRECTORY,
        logDirectory: join(home, 'cvmfs'),
        command: [process.execPath, CLIENT],
        unmount: (mountpoint) => mounter.unmount(mountpoint),
        ...(options.cvmfsPrefetch && {
          prefetchFailed: ({ message }) =>
            log.warn(`what an image reads at its start is not remembered: ${message}`),
        }),
      });
    case 'cvmfs2':
      throw new ThinlayerError(
        'unimplemented',
        'cvmfs.mount=cvmfs2 is not there yet; use embedded, or mount the repositories by cvmfs2 under /cvmfs and use external',
        { op: 'options' },
      );
  }
}
