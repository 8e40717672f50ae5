/** CVMFS repositories as the actors see them: a name, a mount, and who holds it. */

import type { ThinlayerError } from './errors.js';
import type { Reply } from './request.js';
import type { Cancel } from './service.js';

/** Where a repository is mounted, and what it shows there. */
export interface RepositoryMount {
  readonly path: string;
  /** Null where the source cannot tell. */
  readonly revision: number | null;
  /** Of the process that serves it, where the source knows that. */
  readonly pid?: number;
  /** It was mounted just now. False: it was there, mounted by a daemon of before, say. */
  readonly anew: boolean;
  /** Directories below which whiteouts of layers are shown as overlayfs knows them. Elsewhere they are files `.wh.NAME`. */
  readonly whiteouts: readonly string[];
}

/** What was fetched ahead since the client began. */
export interface PrefetchCounts {
  /** Profiles written: what images read at their starts. */
  readonly recorded: number;
  readonly objects: number;
  readonly bytes: number;
  /** Of these objects, opened later. */
  readonly hits: number;
  /** Bytes of those that nobody opened, so far. */
  readonly wastedBytes: number;
}

/** What the client of a mounted repository tells of it. */
export interface RepositoryFacts {
  readonly revision: number;
  /** Which is asked next; null: none. */
  readonly host: string | null;
  /** Why no server was heard lately, or why what one has cannot be shown; null while it is. */
  readonly offline: string | null;
  readonly cacheBytes: number;
  /** Null: it is off. */
  readonly prefetch: PrefetchCounts | null;
  /** What could not be read last, and why; null: nothing, lately. */
  readonly failure: string | null;
}

/** One line of what an administrator sees of a repository. */
export interface RepositoryReport {
  readonly repository: string;
  /** The machine's. */
  readonly state: string;
  readonly holders: number;
  /** Why it cannot be mounted, or why its client does not tell. */
  readonly cause: string | null;
  /** Null: it is not mounted, or whoever mounts it tells nothing. */
  readonly facts: RepositoryFacts | null;
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
  /** Of one that is mounted. Null, or absent: its client tells nothing. */
  describe?(repository: string): Promise<RepositoryFacts | null>;
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
  | { readonly type: 'repository.refresh'; readonly request: number }
  /** Unmounts at once what nobody holds. Answered when that is done; at once, if there is nothing to do. */
  | { readonly type: 'repository.retire'; readonly request: number };

export type RepositoryReply = Reply<RepositoryMount | undefined>;
