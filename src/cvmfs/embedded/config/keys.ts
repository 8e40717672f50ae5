/** The public keys that may have signed a repository's whitelist, by CERN's rules (mountpoint.cc, SetupSignatureManager). */

import { posix } from 'node:path';

import { ThinlayerError } from '../../../core/errors.js';
import type { ConfigFiles } from './config-files.js';
import { domainOf, withSuffix } from './hierarchy.js';
import type { Settings } from './settings.js';

export interface PublicKey {
  readonly path: string;
  readonly pem: string;
}

/**
 * CVMFS_PUBLIC_KEY names the files, else all `*.pub` of CVMFS_KEYS_DIR count, by default `keys` beside default.conf. Where that
 * directory has none, its directory of the repository's domain does: `keys/cern.ch`, as packages lay keys out.
 */
export function readPublicKeys(
  settings: Settings,
  files: ConfigFiles,
  directory: string,
  fqrn: string,
): readonly PublicKey[] {
  const named = settings.list('CVMFS_PUBLIC_KEY', ':').map(({ text }) => text);
  const keysDirectory = settings.path('CVMFS_KEYS_DIR', posix.join(directory, 'keys'));
  if (named.length > 0) return named.map((path) => readKey(files, path, settings.from('CVMFS_PUBLIC_KEY')));
  const directories = [keysDirectory, posix.join(keysDirectory, domainOf(fqrn))];
  const found = directories.map((d) => withSuffix(files, d, '.pub')).find((paths) => paths.length > 0);
  if (found) return found.map((path) => readKey(files, path, settings.from('CVMFS_KEYS_DIR')));
  throw new ThinlayerError(
    'failed_precondition',
    `there is no public key for ${fqrn}: no *.pub in ${directories.join(' or ')}; put its master key there, or name it in CVMFS_PUBLIC_KEY`,
    { path: keysDirectory },
  );
}

function readKey(files: ConfigFiles, path: string, from: string): PublicKey {
  const pem = posix.isAbsolute(path) ? files.read(path) : null;
  if (pem === null) {
    throw new ThinlayerError('failed_precondition', `${from}: the public key ${path} does not exist`, {
      path,
    });
  }
  if (/-----BEGIN (RSA )?PUBLIC KEY-----/.test(pem)) return { path, pem };
  throw new ThinlayerError('invalid_argument', `${path} is no public key in PEM form`, { path });
}
