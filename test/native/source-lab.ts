/** A served repository, and the places of a source that shows it. */

import { join } from 'node:path';
import type { TestContext } from 'node:test';

import type { IdMaps } from '../../src/core/model.js';
import type { RepositorySource } from '../../src/core/repository.js';
import { embeddedSource } from '../../src/cvmfs/embedded-source.js';
import { loadAddon } from '../../src/host/addon.js';
import { tryLock } from '../../src/host/lock.js';
import { readHomeMounts } from '../../src/host/mountinfo.js';
import type { SourceLab } from '../conformance/repository-source.js';
import { configureThin, FQRN } from '../cvmfs/thin-repository.js';
import { check } from '../system/process.js';
import { CVMFS_CLIENT } from '../system/project.js';
import { RepositoryServer } from '../unit/cvmfs/server.js';
import { ScratchHome } from './scratch-home.js';

export interface Places {
  readonly base: string;
  readonly directory: string;
  readonly configDirectory: string;
  readonly logDirectory: string;
  readonly runDirectory: string;
  readonly idMaps: IdMaps;
  readonly unmount: (mountpoint: string) => Promise<void>;
  readonly isMounted: (repository: string) => Promise<boolean>;
}

export interface Change {
  readonly idMaps?: IdMaps;
  readonly settings?: Readonly<Record<string, string>>;
}

/** A web server with the repository, and the configuration of a client of it. */
export async function placesOf(
  t: TestContext,
  { idMaps = { uids: [], gids: [] }, settings = {} }: Change = {},
): Promise<{ places: Places; server: RepositoryServer; publish: () => Promise<void> }> {
  const server = await RepositoryServer.start('thin/rev-1');
  t.after(() => server.stop());
  const home = await ScratchHome.make(t, 'h');
  const base = home.path;
  await configureThin(join(base, 'etc'), server.url, settings);
  const publish = async () => void (server.layers = ['thin/rev-2-delta', 'thin/rev-1']);
  return { places: placesBelow(base, idMaps), server, publish };
}

export function placesBelow(base: string, idMaps: IdMaps): Places {
  const addon = loadAddon();
  return {
    base,
    directory: join(base, 'cvmfs'),
    configDirectory: join(base, 'etc'),
    logDirectory: join(base, 'log'),
    runDirectory: join(base, 'run'),
    idMaps,
    unmount: (mountpoint) => addon.unmount(mountpoint),
    isMounted: async (repository) => (await readHomeMounts(base)).repositories.includes(repository),
  };
}

/** What a test left mounted is released at its end, before the server and the files are gone. */
export async function labOf(
  t: TestContext,
  make: (places: Places) => RepositorySource,
  change: Change = {},
): Promise<SourceLab> {
  let last: RepositorySource | undefined;
  t.after(async () => {
    await last?.resolve(FQRN);
    await last?.release(FQRN);
  });
  const { places, publish } = await placesOf(t, change);
  const source = () => (last = make(places));
  return { repository: FQRN, source, publish, directory: places.directory, ours: true };
}

export const embedded = (places: Places): RepositorySource =>
  embeddedSource({
    ...places,
    command: [process.execPath, CVMFS_CLIENT],
    lock: (path) => tryLock(loadAddon(), path, ''),
  });

/** The process that has this mountpoint on its command line. */
export async function serverOf(mountpoint: string): Promise<number> {
  const found = await check('pgrep', ['-f', `thinlayer-cvmfs.js.* ${mountpoint}( |$)`]);
  return Number(found.trim().split('\n')[0]);
}
