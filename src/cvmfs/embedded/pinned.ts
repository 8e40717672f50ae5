/**
 * A state of the repository that the configuration names, to be mounted in place of the newest: a root catalog by its
 * hash, or the one that the history has under a tag, or as the newest at some time. It never changes.
 */

import { ThinlayerError } from '../../core/errors.js';
import { fromErrno } from '../../core/errno.js';
import { loadCvmfsAddon } from './addon.js';
import type { Breadcrumb } from './cache/breadcrumb.js';
import type { Pinned } from './config/client-config.js';
import { loadTrusted } from './load.js';
import type { LoadContext, Trusted } from './load.js';
import { readHash } from './object-id.js';
import type { ObjectId } from './object-id.js';
import type { FetchHow } from './objects.js';
import { refusal } from './refusal.js';
import { checkRevision } from './trust.js';

/** Of a catalog or history whose size nothing tells. */
const MAX_BYTES = 1024 ** 3;

const COLUMNS = 'SELECT hash, revision, timestamp FROM tags';
const BY_TAG = `${COLUMNS} WHERE name = ?1`;
const BY_DATE = `${COLUMNS} WHERE timestamp <= CAST(?1 AS INTEGER) ORDER BY timestamp DESC, revision DESC LIMIT 1`;
const REVISION = `SELECT value FROM properties WHERE key = 'revision'`;

export interface PinnedState extends Breadcrumb {
  /** Null for a hash: it vouches for itself, and no server's signature is asked for. */
  readonly trusted: Trusted | null;
}

/** Its root catalog is in the cache then. Rejects as `loadTrusted` does, and with `not_found`. */
export async function loadPinned(context: LoadContext, pinned: Pinned): Promise<PinnedState> {
  const state = pinned.kind === 'hash' ? byHash(pinned.hash) : await fromHistory(context, pinned);
  const [revision] = (await query(context, state.root, REVISION, [])) ?? [];
  const known = { ...state, revision: state.revision || Number(revision ?? 0) };
  checkRevision(known.revision, context.blacklist(), context.fqrn);
  return known;
}

function byHash(text: string): PinnedState {
  const root = readHash(text, 'C');
  if (!root) throw new ThinlayerError('invalid_argument', `${text} is not the hash of a root catalog`);
  return { root, revision: 0, published: 0, trusted: null };
}

async function fromHistory(
  context: LoadContext,
  pinned: Exclude<Pinned, { kind: 'hash' }>,
): Promise<PinnedState> {
  const { fqrn } = context;
  const trusted = await loadTrusted(context, null, null);
  const history = trusted?.manifest.history;
  if (!trusted || !history) throw missing(`${fqrn} has no history, and so no tags and no former revisions`);
  const { alternativePaths } = trusted.manifest;
  const row =
    pinned.kind === 'tag'
      ? await query(context, history, BY_TAG, [pinned.tag], alternativePaths)
      : await query(context, history, BY_DATE, [secondsOf(pinned.date)], alternativePaths);
  if (row) return { ...stateOf(row, fqrn), trusted };
  const what =
    pinned.kind === 'tag'
      ? `tag ${JSON.stringify(pinned.tag)}`
      : `tag as old as ${pinned.date.toISOString()}`;
  const setting = pinned.kind === 'tag' ? 'CVMFS_REPOSITORY_TAG' : 'CVMFS_REPOSITORY_DATE';
  throw missing(`the history of ${fqrn} has no ${what}; correct ${setting}`);
}

function stateOf([hash = '', revision, timestamp]: string[], fqrn: string): Breadcrumb {
  const root = readHash(hash, 'C');
  const [number, published] = [Number(revision), Number(timestamp)];
  if (root && Number.isSafeInteger(number) && Number.isSafeInteger(published))
    return { root, revision: number, published };
  throw refusal(
    `the history of ${fqrn} names a root catalog that cannot be: ${JSON.stringify(hash.slice(0, 80))}`,
  );
}

function secondsOf(date: Date): string {
  return String(Math.floor(date.getTime() / 1000));
}

/** For a root catalog that the cache lost, or holds damaged. */
export async function fetchPinnedRoot({ objects, signal }: FetchContext, root: ObjectId): Promise<void> {
  await objects.fetch(root, unsized(signal, false));
}

type FetchContext = Pick<LoadContext, 'objects' | 'signal'>;

async function query(
  { objects, signal }: FetchContext,
  database: ObjectId,
  sql: string,
  words: readonly string[],
  alternative = false,
): Promise<string[] | null> {
  return await objects.read(database, unsized(signal, alternative), async (path) => {
    try {
      return await loadCvmfsAddon().queryDatabase(path, sql, words);
    } catch (error) {
      throw fromErrno(error, { op: 'query', path });
    }
  });
}

function unsized(signal: AbortSignal | undefined, alternative: boolean): FetchHow {
  return { compressed: true, size: MAX_BYTES, sizeUnknown: true, alternative, signal };
}

function missing(message: string): ThinlayerError {
  return new ThinlayerError('not_found', message, { op: 'mount' });
}
