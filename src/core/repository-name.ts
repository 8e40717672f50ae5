/** Names of CVMFS repositories. They become parts of paths and URLs: nothing is done with one before it was looked at here. */

import { ThinlayerError } from './errors.js';

/** As a host name is built (RFC 1123), and with `_`, which CVMFS allows as well. */
const LABEL = /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/i;
const MAX_LENGTH = 253;

export function isRepositoryName(name: string): boolean {
  return name.length <= MAX_LENGTH && name.split('.').every((label) => LABEL.test(label));
}

/** With its domain, as descriptors and servers name it. */
export function isFullRepositoryName(name: string): boolean {
  return isRepositoryName(name) && name.includes('.');
}

/** The name as it is. Throws `invalid_argument` for what is no name of a repository. */
export function repositoryName(name: string): string {
  if (isRepositoryName(name)) return name;
  const shown = JSON.stringify(name.slice(0, MAX_LENGTH));
  throw new ThinlayerError(
    'invalid_argument',
    `${shown} is no name of a CVMFS repository; it has to look like a host name, as unpacked.cern.ch does`,
  );
}
