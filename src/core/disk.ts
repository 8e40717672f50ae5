/** The changes that the store makes to a disk, as values: a layer is made in one go, and what was made can be undone. */

import type { Cancel } from './service.js';

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** Paths are absolute. Modes are exactly what an entry gets, whatever the umask. */
export type DiskChange =
  /** With `owner` null the entry keeps the one it was born with. A failure leaves no directory. */
  | { readonly do: 'mkdir'; readonly path: string; readonly mode: number; readonly owner: Owner | null }
  | { readonly do: 'symlink'; readonly target: string; readonly path: string }
  /** Made anew, or replaced. `sync`: on disk before the next change. A failure may leave half of it. */
  | {
      readonly do: 'write';
      readonly path: string;
      readonly text: string;
      readonly mode: number;
      readonly sync: boolean;
    }
  /** A directory may take the place of an empty one: ENOTEMPTY, or EEXIST on xfs, if that holds anything. */
  | { readonly do: 'rename'; readonly from: string; readonly to: string }
  /** Changes nothing: fails with EBUSY if another file system is mounted on `path`, which may be missing. */
  | { readonly do: 'expect unmounted'; readonly path: string }
  /** Changes nothing: fails with ENOTEMPTY if the directory holds anything. */
  | { readonly do: 'expect empty'; readonly path: string }
  /** That there is no such entry is a success, so that it can be repeated. */
  | { readonly do: 'unlink'; readonly path: string }
  | { readonly do: 'rmdir'; readonly path: string };

export type Reversible = Extract<DiskChange, { do: 'mkdir' | 'symlink' | 'write' | 'rename' }>;

export interface Disk {
  /**
   * Makes the changes in this order, on a thread of its own, until one fails. Rejects with that one's errno, and in
   * `done` the number of those before it. Concurrent calls share the journal's commits: do not queue them.
   */
  change(changes: readonly DiskChange[]): Promise<void>;
  /**
   * Deletes the directory `path` with all below it, without following anything. What cannot be deleted does not keep
   * the rest: rejects with the first failure at the end. A mount below is neither entered nor removed (EXDEV). Cancelled,
   * it rejects with ECANCELED before the next entry, and touches nothing any more.
   */
  removeTree(path: string, cancel?: Cancel): Promise<void>;
}

/** How many of `changes` were begun when `change` rejected with `error`: all that may have to be undone. */
export function begun(error: unknown, changes: readonly DiskChange[]): number {
  const done = typeof error === 'object' && error !== null && 'done' in error ? Number(error.done) : 0;
  return changes[done]?.do === 'write' ? done + 1 : done;
}

/** What takes a change back. */
export function inverse(change: Reversible): DiskChange {
  switch (change.do) {
    case 'mkdir':
      return { do: 'rmdir', path: change.path };
    case 'symlink':
    case 'write':
      return { do: 'unlink', path: change.path };
    case 'rename':
      return { do: 'rename', from: change.to, to: change.from };
  }
}
