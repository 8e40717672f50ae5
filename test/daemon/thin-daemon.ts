/** thinlayerd with the sample repository of thin images: configured, its server up, its home open. */

import { join } from 'node:path';

import { configureThin, serveThin } from '../cvmfs/thin-repository.js';
import type { Jail } from '../system/jail.js';
import { Daemon } from './daemon.js';

export interface ThinDaemon extends AsyncDisposable {
  readonly daemon: Daemon;
  /** The client's configuration directory; its cache is in it. */
  readonly config: string;
}

export async function startThin(
  options: readonly string[] = [],
  settings: Readonly<Record<string, string>> = {},
  serve: (jail: Jail) => Promise<void> = serveThin,
): Promise<ThinDaemon> {
  let config = '';
  const daemon = await Daemon.start({
    before: async (home, jail) => {
      config = join(home, '../cvmfs-config');
      await configureThin(config, undefined, settings);
      await serve(jail);
    },
    init: false,
  });
  await daemon.client.init(daemon.home, [`cvmfs.config_dir=${config}`, ...options]);
  return { daemon, config, [Symbol.asyncDispose]: () => daemon[Symbol.asyncDispose]() };
}
