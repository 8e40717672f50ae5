/**
 * Which files make up the configuration of a repository, in the order in which CERN's client reads them: what comes later wins
 * (cvmfs/options.cc, ParseDefault, and the head of its default.conf). The files of a configuration repository
 * (CVMFS_CONFIG_REPOSITORY) are not read: it would have to be mounted first.
 */

import { posix } from 'node:path';

import type { ConfigFiles } from './config-files.js';

/** Those that hold for every repository. */
export function defaultFiles(directory: string, files: ConfigFiles): string[] {
  const distribution = withSuffix(files, posix.join(directory, 'default.d'), '.conf');
  return [posix.join(directory, 'default.conf'), ...distribution, posix.join(directory, 'default.local')];
}

/** Those of one repository and of its domain, which is what follows the first dot. */
export function repositoryFiles(directory: string, fqrn: string): string[] {
  const domain = domainOf(fqrn);
  return [
    posix.join(directory, 'domain.d', `${domain}.conf`),
    posix.join(directory, 'domain.d', `${domain}.local`),
    posix.join(directory, 'config.d', `${fqrn}.conf`),
    posix.join(directory, 'config.d', `${fqrn}.local`),
  ];
}

export function domainOf(fqrn: string): string {
  return fqrn.slice(fqrn.indexOf('.') + 1);
}

export function organizationOf(fqrn: string): string {
  return fqrn.split('.')[0] ?? fqrn;
}

/** The files of a directory with this suffix, in order of their names; none if there is no such directory. */
export function withSuffix(files: ConfigFiles, directory: string, suffix: string): string[] {
  const names = files.list(directory) ?? [];
  return names.filter((name) => name.endsWith(suffix)).map((name) => posix.join(directory, name));
}
