/** What of a repository stands in a directory now, by the extended attributes that CVMFS clients answer, whoever runs them. */

import { fromErrno, isErrno } from '../core/errno.js';

/** Never on a thread that others need: it may wait for a network. Null if there is no such attribute. */
export type GetXattr = (path: string, name: string) => Promise<string | null>;

/**
 * Of the catalog that lists the directory: all below follows from it, nested catalogs too. A catalog that could not be loaded has
 * a hash of zeros with CERN's client.
 */
const CATALOG_HASH = /^catalog_hash: (?!0*(?:-|$))([0-9a-f]+(?:-\w+)?)$/m;

/**
 * Another text whenever something else is published in `directory` or below it. Where the client does not tell the catalog (an
 * old one, or CVMFS_XATTR_PROTECTED_XATTRS), that is whenever anything in the repository changes. Null: it is not known.
 */
export async function publishedIn(getXattr: GetXattr, directory: string): Promise<string | null> {
  const ask = async (name: string) => {
    try {
      return await getXattr(directory, name);
    } catch (error) {
      if (isErrno(error, 'ENOTSUP', 'EOPNOTSUPP')) return null;
      throw fromErrno(error, { op: 'ask for the published revision', path: directory });
    }
  };
  const [, hash] = CATALOG_HASH.exec((await ask('user.catalog_counters')) ?? '') ?? [];
  return hash ?? ask('user.root_hash');
}
