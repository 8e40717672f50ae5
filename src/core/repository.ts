/** CVMFS repositories as the actors see them: a name, a mount, and who holds it. */

import type { ThinlayerError } from './errors.js';
import type { Reply } from './request.js';
import type { Cancel } from './service.js';

/** Where a repository is mounted, and what it shows there. */
export interface RepositoryMount {
  readonly path: string;
  /** Null where the source cannot tell. */
  readonly revision: number | null;
}

/**
 * A CVMFS client: the only thing that a back end is. One call at a time for each repository; none blocks the event loop, nor
 * ever looks at a path below a mount on a thread that others need. Rejects with a ThinlayerError that names the repository
 * and the mend.
 */
export interface RepositorySource {
  /** For people: `embedded`, `cvmfs2`, `external`. */
  readonly name: string;
  /** Configuration, keys and mountpoint are there. Mounts nothing. */
  resolve(repository: string): Promise<void>;
  /** The repository is mounted and answers, whoever mounted it: also one that survived a restart of the daemon. */
  acquire(repository: string, cancel: Cancel): Promise<RepositoryMount>;
  /** Looks for a newer revision now, and answers what is shown from then on. */
  refresh(repository: string): Promise<RepositoryMount>;
  /** Nobody needs it: unmounted, if it is ours to unmount. Not mounted: success. */
  release(repository: string): Promise<void>;
  /** Calls `lost` when a mount that was acquired stops answering, with the reason. Returns how to end that. */
  watch(lost: (repository: string, reason: ThinlayerError) => void): () => void;
  /** Absent: what images read at their starts is of no use to it. */
  readonly starts?: Starts;
}

/**
 * Told when containers start and end, so that what an image reads at its start can be remembered, and fetched ahead the
 * next time. Nobody waits for it, and a failure is its own affair: a start without it is only slower.
 */
export interface Starts {
  /** `directories`: the image's layers in this repository, uppermost first, as absolute paths below its mount. */
  begin(repository: string, holder: string, directories: readonly string[]): void;
  end(repository: string, holder: string): void;
}

export type RepositoryRequest =
  /** Answers the mount. The holder keeps it until it releases it; holding twice is holding once. */
  | { readonly type: 'repository.lease'; readonly request: number; readonly holder: string }
  | { readonly type: 'repository.release'; readonly request: number; readonly holder: string }
  | { readonly type: 'repository.refresh'; readonly request: number };

export type RepositoryReply = Reply<RepositoryMount | undefined>;
