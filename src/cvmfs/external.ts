/** Repositories that the host mounts below /cvmfs, by autofs or by hand: never mounted nor unmounted by us. */

import { fromErrno } from '../core/errno.js';
import { ThinlayerError } from '../core/errors.js';
import type { RepositoryMount, RepositorySource } from '../core/repository.js';

export const HOST_REPOSITORIES = '/cvmfs';

export interface ExternalOptions {
  /**
   * Never waits on a thread that others need. `empty`: nothing is mounted there, nor is anything in it. Rejects as the addon does
   * (src/host/addon.ts).
   */
  readonly lookAt: (directory: string, repository: string) => Promise<'there' | 'empty' | 'absent'>;
  /** Where the host has its repositories. */
  readonly directory: string;
}

export function externalSource({ lookAt, directory }: ExternalOptions): RepositorySource {
  /** To look is what makes autofs mount it. */
  const acquire = async (repository: string): Promise<RepositoryMount> => {
    const path = `${directory}/${repository}`;
    switch (await look(lookAt, directory, repository)) {
      case 'there':
        return { path, revision: null, anew: false, whiteouts: [] };
      case 'empty':
        throw notMounted(path, `nothing is mounted on ${path}, an empty directory; see whether autofs runs`);
      case 'absent':
        throw notMounted(path, `the host has no ${path}`);
    }
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

async function look(lookAt: ExternalOptions['lookAt'], directory: string, repository: string) {
  try {
    return await lookAt(directory, repository);
  } catch (error) {
    throw fromErrno(error, { op: 'look up', path: `${directory}/${repository}` });
  }
}

function notMounted(path: string, what: string): ThinlayerError {
  const mend = 'mount that repository there, or let thinlayer mount it (--storage-opt cvmfs.mount=embedded)';
  return new ThinlayerError('unavailable', `${what}; ${mend}`, { op: 'mount', path });
}
