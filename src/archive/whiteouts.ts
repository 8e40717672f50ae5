/**
 * Whiteouts in an archive, as the image specification takes them over from AUFS: an entry `.wh.NAME` deletes NAME of
 * the layers below, `.wh..wh..opq` all of its directory. What else starts with `.wh..wh.` at the top is AUFS's own.
 */

import { ThinlayerError } from '../core/errors.js';
import type { ByteString } from '../core/tree.js';

export const WHITEOUT_PREFIX = '.wh.';
export const OPAQUE_NAME = '.wh..wh..opq';
const METADATA_PREFIX = '.wh..wh.';

export interface Meaning {
  /** `ignored`: AUFS's bookkeeping. */
  readonly kind: 'node' | 'whiteout' | 'opaque' | 'ignored';
  /** What is made, deleted, or opaque. */
  readonly path: ByteString;
}

/** What an entry at `path` (see entryPath) means. `invalid_argument` for whiteouts of nothing: `.wh.`, `.wh..`, `.wh...`. */
export function meaningOf(path: ByteString): Meaning {
  if (!path.includes(WHITEOUT_PREFIX)) return { kind: 'node', path };
  const components = path.split('/');
  const base = components.pop() ?? '';
  const parent = components.join('/');
  if (base === OPAQUE_NAME) return { kind: 'opaque', path: parent === '' ? '.' : parent };
  if (path.startsWith(METADATA_PREFIX)) return { kind: 'ignored', path };
  if (components.some((c) => c.startsWith(WHITEOUT_PREFIX)))
    throw invalid(path, 'it is inside of a whiteout');
  if (!base.startsWith(WHITEOUT_PREFIX)) return { kind: 'node', path };
  const name = base.slice(WHITEOUT_PREFIX.length);
  if (name === '' || name === '.' || name === '..') throw invalid(path, 'it is a whiteout of nothing');
  return { kind: 'whiteout', path: parent === '' ? name : `${parent}/${name}` };
}

function invalid(path: ByteString, reason: string): ThinlayerError {
  return new ThinlayerError(
    'invalid_argument',
    `the archive has an entry ${JSON.stringify(path)}: ${reason}`,
    {
      op: 'apply',
      path,
    },
  );
}
