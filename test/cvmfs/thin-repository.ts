/** The sample repository of thin images, served and configured for a jail that has a network of its own. */

import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { FIXTURES } from '../pure/cvmfs/fixtures.js';
import type { Jail } from '../system/jail.js';
import { PROJECT_ROOT } from '../system/project.js';

export const FQRN = 'thin.example.org';

/** In the network of the jail. */
const PORT = 8000;

/** Makes `directory`, for `cvmfs.config_dir`; the cache is in it too. */
export async function configureThin(
  directory: string,
  server = `http://127.0.0.1:${PORT}`,
  more: Readonly<Record<string, string>> = {},
): Promise<void> {
  const key = join(directory, `${FQRN}.pub`);
  await mkdir(join(directory, 'config.d'), { recursive: true });
  await writeFile(key, await readFile(join(FIXTURES, 'keys', `${FQRN}.pub`)));
  const settings = {
    CVMFS_SERVER_URL: server,
    CVMFS_HTTP_PROXY: 'DIRECT',
    CVMFS_PUBLIC_KEY: key,
    CVMFS_CACHE_BASE: join(directory, 'cache'),
    CVMFS_RELOAD_SOCKETS: join(directory, 'sockets'),
    ...more,
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name}=${value}\n`);
  await writeFile(join(directory, `config.d/${FQRN}.conf`), lines.join(''));
}

/** Its requests are lines of `server.log` in the jail's directory. It answers when something was written into `after`, if given. */
export async function serveThin(
  jail: Jail,
  directory = join(PROJECT_ROOT, FIXTURES, 'thin/rev-1'),
  after?: string,
): Promise<void> {
  const late = after === undefined ? [] : ['--after', after];
  const command = [process.execPath, join(PROJECT_ROOT, 'dist/test/cvmfs/serve.js'), ...late, String(PORT)];
  const log = join(jail.directory, 'server.log');
  await jail.start({ name: 'server', command: [...command, directory], log });
}

export function thinDescriptor(name = 'thin.json'): Promise<Buffer> {
  return readFile(join(FIXTURES, 'thin/image-rev1', name));
}
