/** A configuration directory in memory. */

import type { ConfigFiles } from '../../../src/cvmfs/embedded/config/config-files.js';
import { loadConfig } from '../../../src/cvmfs/embedded/config/load.js';
import type { ClientConfig } from '../../../src/cvmfs/embedded/config/client-config.js';

export const KEY = '-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----\n';

export function filesOf(texts: Readonly<Record<string, string>>): ConfigFiles {
  const contents = new Map(Object.entries(texts));
  const list = (path: string) => {
    const below = [...contents.keys()].filter((file) => file.startsWith(`${path}/`));
    const names = new Set(below.map((file) => file.slice(path.length + 1).split('/')[0] ?? ''));
    return names.size === 0 ? null : [...names].sort();
  };
  return {
    read: (path) => contents.get(path) ?? null,
    list,
    kind: (path) => (contents.has(path) ? 'file' : list(path) ? 'directory' : null),
  };
}

/** Enough for any repository to be configured. */
export const MINIMAL = {
  '/etc/cvmfs/default.local': 'CVMFS_HTTP_PROXY=DIRECT\nCVMFS_SERVER_URL=http://s/cvmfs/@fqrn@\n',
  '/etc/cvmfs/keys/example.org.pub': KEY,
};

export function load(
  texts: Readonly<Record<string, string>>,
  repository = 'sw.example.org',
  environment: Readonly<Record<string, string>> = {},
): ClientConfig {
  return loadConfig({ repository, directory: '/etc/cvmfs', only: null, environment }, filesOf(texts));
}

/** The minimal configuration with these lines in the file of the repository. */
export function loadLines(lines: string): ClientConfig {
  return load({ ...MINIMAL, '/etc/cvmfs/config.d/sw.example.org.conf': lines });
}
