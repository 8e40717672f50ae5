/** TreeReader on the addon: it walks and reads on threads of its own, one batch ahead of the consumer. */

import type { Change, ChangeKind } from '../core/model.js';
import { ThinlayerError } from '../core/errors.js';
import type { Cancel } from '../core/service.js';
import type { ByteString, Comparison, ReadOptions, TreeBatch, TreeReader, TreeWork } from '../core/tree.js';
import { fromErrno } from '../core/errno.js';
import { withCancelFlag } from './cancel-flag.js';
import { decodeEntries } from './tree-entries.js';

/** native/tree_reader.cc and tree_compare.cc. Flags: see cancel-flag.ts. */
export interface TreeReaderFunctions {
  /** `only`: each path followed by a NUL. */
  TreeWalk: new (root: string, only: Buffer | null, namesOnly: boolean, remote: boolean) => NativeWalk;
  compareLayer: Compare;
  compareTrees: Compare;
  treeSize(root: string, flag: Uint8Array): Promise<number>;
}

type Compare = (
  newer: string,
  olders: readonly string[],
  flag: Uint8Array,
  remote: boolean,
) => Promise<NativeComparison>;

interface NativeWalk {
  /** Fills `data`, one call at a time. */
  next(data: Buffer): Promise<NativeBatch>;
  close(): void;
}

interface NativeBatch {
  readonly used: number;
  readonly table: ArrayBuffer;
  readonly done: boolean;
}

interface NativeComparison {
  /** For each change: a letter, the path, a NUL. */
  readonly changes: Buffer;
  readonly size: number;
}

/**
 * Enough that the hops between threads do not count. A stream has two such buffers, which take turns: new ones for each
 * batch had the whole heap collected every few of them, for a third of a Diff's time.
 */
const BATCH_BYTES = 1024 * 1024;

export function createTreeReader(addon: TreeReaderFunctions): TreeReader {
  const compare = async (
    call: 'compareLayer' | 'compareTrees',
    newer: string,
    olders: readonly string[],
    work: TreeWork = {},
  ) => {
    const remote = work.remote ?? false;
    return decodeComparison(
      await cancellable(newer, work, (flag) => addon[call](newer, olders, flag, remote)),
    );
  };
  return {
    read: (root, options = {}) => read(addon, root, options),
    compareLayer: (diff, lowers, work) => compare('compareLayer', diff, lowers, work),
    compareTrees: (newer, older, work) => compare('compareTrees', newer, older === null ? [] : [older], work),
    size: (root, cancel) => cancellable(root, cancel, (flag) => addon.treeSize(root, flag)),
  };
}

async function* read(
  addon: TreeReaderFunctions,
  root: string,
  options: ReadOptions,
): AsyncGenerator<TreeBatch, void, void> {
  const { only, namesOnly = false, remote = false } = options;
  const walk = new addon.TreeWalk(root, joinPaths(only), namesOnly, remote);
  let [filling, reading] = [Buffer.allocUnsafeSlow(BATCH_BYTES), Buffer.allocUnsafeSlow(BATCH_BYTES)];
  try {
    for (let ahead: Promise<Outcome> | null = fill(walk, filling); ahead;) {
      const outcome: Outcome = await ahead;
      if (options.signal?.aborted) throw aborted(root, options.signal.reason);
      if ('error' in outcome) throw fromErrno(outcome.error, { op: 'read', path: root });
      [filling, reading] = [reading, filling];
      ahead = outcome.done ? null : fill(walk, filling);
      yield { data: reading.subarray(0, outcome.used), entries: decodeEntries(outcome.table) };
    }
  } finally {
    walk.close();
  }
}

type Outcome = NativeBatch | { error: unknown };

/** A value in either case: nobody may be there any more to catch the rejection of a batch read ahead. */
async function fill(walk: NativeWalk, data: Buffer): Promise<Outcome> {
  try {
    return await walk.next(data);
  } catch (error) {
    return { error };
  }
}

function joinPaths(paths: readonly ByteString[] | undefined): Buffer | null {
  return paths ? Buffer.from(paths.map((path) => `${path}\0`).join(''), 'latin1') : null;
}

async function cancellable<T>(
  path: string,
  cancel: Cancel = {},
  call: (flag: Uint8Array) => Promise<T>,
): Promise<T> {
  const { signal } = cancel;
  if (signal?.aborted) throw aborted(path, signal.reason);
  try {
    return await withCancelFlag(cancel, call);
  } catch (error) {
    throw signal?.aborted ? aborted(path, error) : fromErrno(error, { op: 'compare', path });
  }
}

function aborted(path: string, cause: unknown): ThinlayerError {
  return new ThinlayerError('aborted', `reading ${path} was cancelled by its caller`, {
    op: 'read',
    path,
    cause,
  });
}

const KINDS: Readonly<Record<string, ChangeKind>> = { A: 'added', C: 'modified', D: 'deleted' };

function decodeComparison(native: NativeComparison): Comparison {
  const records = native.changes.toString('latin1').split('\0').slice(0, -1);
  const changes = records.map<Change>((record) => ({
    path: record.slice(1),
    kind: KINDS[record.charAt(0)] ?? 'modified',
  }));
  return { changes, size: native.size };
}
