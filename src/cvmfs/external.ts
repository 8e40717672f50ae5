/** Repositories that the host mounts below /cvmfs, by autofs or by hand: never mounted nor unmounted by us. */

import { ThinlayerError } from '../core/errors.js';
import type { RepositoryMount, RepositorySource } from '../core/repository.js';

export const HOST_REPOSITORIES = '/cvmfs';

export interface ExternalOptions {
  /** As of a Mounter: never waits on a thread that others need. */
  readonly locate: (root: string, paths: readonly string[]) => Promise<string | null>;
  /** Where the host has its repositories. */
  readonly directory: string;
}

export function externalSource({ locate, directory }: ExternalOptions): RepositorySource {
  /** To look is what makes autofs mount it. */
  const acquire = async (repository: string): Promise<RepositoryMount> => {
    const path = await locate(directory, [repository]);
    if (path !== null) return { path, revision: null, anew: false, whiteouts: [] };
    throw new ThinlayerError(
      'unavailable',
      `the host has no ${directory}/${repository}; mount that repository there, or let thinlayer mount it (--storage-opt cvmfs.mount=embedded)`,
      { op: 'mount', path: `${directory}/${repository}` },
    );
  };
  return {
    name: 'external',
    resolve: () => Promise.resolve(),
    acquire,
    refresh: acquire,
    release: () => Promise.resolve(),
    watch: () => () => undefined,
  };
}
