/** `.cvmfspublished`: which catalog is the root of the repository, in which revision, and who signed that. */

import { readHash } from './object-id.js';
import type { ObjectId, ObjectKind } from './object-id.js';
import { refusal } from './refusal.js';

export interface Manifest {
  readonly fqrn: string;
  readonly root: ObjectId;
  /** Uncompressed bytes of the root catalog; null if the manifest does not tell. */
  readonly rootSize: number | null;
  readonly certificate: ObjectId;
  readonly revision: number;
  readonly ttlSeconds: number;
  /** Unix seconds of publishing; 0 if the manifest does not tell. */
  readonly published: number;
  /** Root catalog and certificate are at `.cvmfsalt-…` instead of below `data/`. */
  readonly alternativePaths: boolean;
  readonly history: ObjectId | null;
  readonly metaInfo: ObjectId | null;
}

export const MAX_MANIFEST_BYTES = 64 * 1024;
/** Of the empty path. Repositories whose root is another directory are not served. */
const ROOT_PATH_MD5 = 'd41d8cd98f00b204e9800998ecf8427e';

/**
 * Lines are a key letter and its value; of a repeated key the last counts; unknown ones are ignored. Throws a refusal,
 * also if the manifest is not that of `fqrn`: a server must not answer with another repository's.
 */
export function parseManifest(lines: readonly string[], fqrn: string): Manifest {
  const values = new Map(lines.map((line) => [line.slice(0, 1), line.slice(1)]));
  const subject = `manifest of ${fqrn}`;
  const required = (key: string, meaning: string): string => {
    const value = values.get(key);
    if (value === undefined) throw refusal(`${subject} has no line ${key} (${meaning})`);
    return value;
  };
  const hash = (key: string, kind: ObjectKind, value: string): ObjectId => {
    const id = readHash(value, kind);
    if (!id) throw refusal(`${subject}: line ${key} is not a hash: ${excerpt(value)}`);
    return id;
  };
  const optionalHash = (key: string, kind: ObjectKind) =>
    values.has(key) ? hash(key, kind, required(key, '')) : null;
  const number = (key: string, value: string): number => {
    const parsed = /^\d{1,20}$/.test(value) ? Number(value) : NaN;
    if (!Number.isSafeInteger(parsed)) {
      throw refusal(`${subject}: line ${key} is not a number that can be: ${excerpt(value)}`);
    }
    return parsed;
  };
  const optionalNumber = (key: string) => (values.has(key) ? number(key, required(key, '')) : null);

  const name = required('N', 'name of the repository');
  if (name !== fqrn) throw refusal(`${subject} is that of another repository, ${excerpt(name)}`);
  const rootPath = required('R', 'root path');
  if (rootPath !== ROOT_PATH_MD5) {
    throw refusal(`${subject} has a root path other than /: its MD5 is ${excerpt(rootPath)}`);
  }
  return {
    fqrn,
    root: hash('C', 'C', required('C', 'root catalog')),
    // 0 is what CERN's publisher writes if it does not know.
    rootSize: optionalNumber('B') || null,
    certificate: hash('X', 'X', required('X', 'certificate')),
    revision: number('S', required('S', 'revision')),
    ttlSeconds: number('D', required('D', 'time to live')),
    published: optionalNumber('T') ?? 0,
    alternativePaths: values.get('A') === 'yes',
    history: optionalHash('H', 'H'),
    metaInfo: optionalHash('M', 'M'),
  };
}

/** Of a stranger's text, for a message. */
function excerpt(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}
