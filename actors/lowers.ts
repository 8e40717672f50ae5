/** From what a layer stands on to directories that can be mounted or read: those in CVMFS are leased and looked up. */

import { setTimeout as delay } from 'node:timers/promises';

import { ThinlayerError, undone } from '../src/core/errors.js';
import type { ErrorCode } from '../src/core/errors.js';
import type { LowerLayer, ThinLayer } from '../src/core/model.js';
import type { Engine, Mask } from '../src/core/ports.js';
import type { RepositoryMount } from '../src/core/repository.js';
import type { Cancel } from '../src/core/service.js';
import { pathsOf } from '../src/core/thin-descriptor.js';
import type { Repositories } from './repositories.js';

/** An opened home, and the repositories of its thin layers. */
export interface Grounds {
  readonly engine: Engine;
  readonly repositories: Repositories;
}

export function thinLayersOf(lowers: readonly LowerLayer[]): ThinLayer[] {
  return lowers.filter((lower) => typeof lower !== 'string');
}

/** The repositories in which some of `lowers` are, each once. */
export function repositoriesOf(lowers: readonly LowerLayer[]): string[] {
  return [...new Set(thinLayersOf(lowers).map(({ repository }) => repository))];
}

/** Where a lower is, until its repository is released. */
export interface Place {
  readonly lower: LowerLayer;
  /** Absolute. */
  readonly path: string;
  /** Null where its whiteouts are as overlayfs knows them. */
  readonly mask: Mask | null;
}

/** What has to be stacked for them, uppermost first, as they are. */
export function stackOf(places: readonly Place[]): string[] {
  return places.flatMap(({ path, mask }) => (mask ? [mask.above, path, mask.below] : [path]));
}

/** Their places, which stand until `holder` releases the repositories of these lowers. After a failure it holds none. */
export async function leaseLowers(
  grounds: Grounds,
  holder: string,
  lowers: readonly LowerLayer[],
  cancel: Cancel,
): Promise<Place[]> {
  const names = repositoriesOf(lowers);
  if (names.length === 0) return lowers.filter((lower) => typeof lower === 'string').map(ownPlace);
  const mounts = await grounds.repositories.lease(holder, names, cancel);
  // All of them have ended before anything is given back.
  const found = await grounds.repositories.delays.watch(holder, names, () =>
    Promise.allSettled(lowers.map((lower) => place(grounds, mounts, holder, lower, cancel))),
  );
  const failure = found.find((result) => result.status === 'rejected');
  if (failure) throw await undone(failure.reason, () => releaseLowers(grounds, holder, lowers));
  return found.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
}

export async function releaseLowers(
  grounds: Grounds,
  holder: string,
  lowers: readonly LowerLayer[],
): Promise<void> {
  await grounds.engine.masks.release(holder);
  await grounds.repositories.release(holder, repositoriesOf(lowers));
}

async function place(
  grounds: Grounds,
  mounts: ReadonlyMap<string, RepositoryMount>,
  holder: string,
  lower: LowerLayer,
  cancel: Cancel,
): Promise<Place> {
  if (typeof lower === 'string') return ownPlace(lower);
  const mount = mounts.get(lower.repository);
  if (!mount) throw new Error(`${lower.repository} was not leased`);
  try {
    return await find(grounds, mount, holder, lower, cancel);
  } catch (error) {
    throw await explained(grounds, lower, error);
  }
}

async function find(
  grounds: Grounds,
  mount: RepositoryMount,
  holder: string,
  lower: ThinLayer,
  cancel: Cancel,
): Promise<Place> {
  const { engine, repositories } = grounds;
  const { repository } = lower;
  const paths = pathsOf(lower);
  const locate = ({ path }: RepositoryMount) =>
    repositories.look(repository, () => engine.mounter.locate(path, paths), cancel);
  const found = await locate(mount);
  if (found !== null) return masked(engine, mount, holder, lower, found);
  // Published a moment ago, perhaps: what is mounted can be minutes old.
  const newest = await repositories.refresh(repository);
  const afterwards = await locate(newest);
  if (afterwards !== null) return masked(engine, newest, holder, lower, afterwards);
  throw notPublished(newest, lower, paths);
}

/** The kernel says EIO, or that nobody answers; the repository's client knows why. */
async function explained(
  { engine }: Grounds,
  { digest, repository }: ThinLayer,
  failure: unknown,
): Promise<unknown> {
  if (!(failure instanceof ThinlayerError) || !UNREADABLE.has(failure.code)) return failure;
  // One that does not answer either, or not soon, explains nothing.
  const asked = engine.repositories.describe?.(repository).catch(() => null);
  const facts = await Promise.race([asked, delay(EXPLAIN_MS, null, { ref: false })]);
  const reason = facts?.failure ?? facts?.offline;
  return new ThinlayerError(
    'unavailable',
    `layer ${digest} of a thin image cannot be read in the repository ${repository}: ${failure.message}${reason ? `; its client says: ${reason}` : ''}`,
    { op: 'mount', cause: failure },
  );
}

const EXPLAIN_MS = 1000;
const UNREADABLE: ReadonlySet<ErrorCode> = new Set(['data_loss', 'unavailable', 'internal']);

function ownPlace(path: string): Place {
  return { lower: path, path, mask: null };
}

/** With what makes whiteouts of its files `.wh.NAME`, where the mount does not. */
async function masked(
  { masks }: Engine,
  mount: RepositoryMount,
  holder: string,
  lower: ThinLayer,
  path: string,
): Promise<Place> {
  const inside = path.slice(mount.path.length + 1);
  const isShown = mount.whiteouts.some((directory) => inside.startsWith(`${directory}/`));
  const mask = isShown ? null : await masks.hold(holder, lower.repository, inside, path);
  return { lower, path, mask };
}

function notPublished(
  { revision }: RepositoryMount,
  { digest, repository }: ThinLayer,
  paths: readonly string[],
): ThinlayerError {
  const at = revision === null ? '' : ` at revision ${revision}`;
  const places = paths.map((path) => `/${path}`).join(' or ');
  return new ThinlayerError(
    'not_found',
    `layer ${digest} of a thin image is not in the repository ${repository}${at} as ${places}; was it published later? wait for its publication, or pull the image that is not thin`,
    { op: 'mount' },
  );
}
