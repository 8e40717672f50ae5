/** What the client has to know of one repository. */

import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Makes `directory`, for `--config-dir` or `cvmfs.config_dir`; the cache is in it too. `key` is PEM. */
export async function writeClientConfig(
  directory: string,
  fqrn: string,
  { url, key }: { readonly url: string; readonly key: string },
): Promise<void> {
  await mkdir(join(directory, 'config.d'), { recursive: true });
  await mkdir(join(directory, 'keys'), { recursive: true });
  const keyFile = join(directory, 'keys', `${fqrn}.pub`);
  await writeFile(keyFile, key);
  const settings = {
    CVMFS_SERVER_URL: url,
    CVMFS_HTTP_PROXY: 'DIRECT',
    CVMFS_PUBLIC_KEY: keyFile,
    CVMFS_CACHE_BASE: join(directory, 'cache'),
    CVMFS_CLAIM_OWNERSHIP: 'yes',
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name}=${value}\n`);
  await writeFile(join(directory, `config.d/${fqrn}.conf`), lines.join(''));
}
