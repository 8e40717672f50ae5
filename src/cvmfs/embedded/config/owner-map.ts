/** CVMFS_UID_MAP and CVMFS_GID_MAP: files of lines `FROM TO`; `* TO` is for all that no line names. */

import { ThinlayerError } from '../../../core/errors.js';

export interface OwnerMap {
  readonly entries: ReadonlyMap<number, number>;
  /** For what is not in `entries`; null: as in the catalog. */
  readonly others: number | null;
}

export const NO_OWNER_MAP: OwnerMap = { entries: new Map(), others: null };

/** (uid_t)-1 means "no change" to the kernel. */
const MAX_ID = 2 ** 32 - 2;

/** Throws `invalid_argument` with file and line. */
export function parseOwnerMap(text: string, path: string): OwnerMap {
  const entries = new Map<number, number>();
  let others: number | null = null;
  for (const [index, line] of text.split('\n').entries()) {
    const trimmed = line.trim();
    if (trimmed === '' || trimmed.startsWith('#')) continue;
    const [from = '', to = '', ...more] = trimmed.split(/\s+/);
    if (more.length > 0 || !isId(to) || (from !== '*' && !isId(from)))
      throw invalid(path, index + 1, trimmed);
    if (from === '*') others = Number(to);
    else entries.set(Number(from), Number(to));
  }
  return { entries, others };
}

function isId(text: string): boolean {
  return /^\d{1,10}$/.test(text) && Number(text) <= MAX_ID;
}

function invalid(path: string, line: number, text: string): ThinlayerError {
  return new ThinlayerError(
    'invalid_argument',
    `${path}:${line}: ${JSON.stringify(text)} is not of the form "FROM TO" or "* TO", with numeric ids`,
    { path },
  );
}
