/**
 * Names of objects. A name is the hash of the bytes as the server stores them, that is of the compressed ones; its text
 * form tells the algorithm by a tail. The letter of the kind belongs to the path, never to the hash's text.
 */

import { createHash } from 'node:crypto';
import type { Hash } from 'node:crypto';

import { ThinlayerError } from '../../core/errors.js';

export type HashAlgorithm = 'sha1' | 'rmd160' | 'shake128';

/** '' whole file, C catalog, P chunk, X certificate, H history, M meta info. */
export type ObjectKind = '' | 'C' | 'P' | 'X' | 'H' | 'M';

export interface ObjectId {
  readonly algorithm: HashAlgorithm;
  /** 40 lower-case digits. */
  readonly hex: string;
  readonly kind: ObjectKind;
  /** Stored on the server as it is, not compressed. Not part of its name there. */
  readonly raw?: boolean;
}

const TAILS: Readonly<Record<HashAlgorithm, string>> = { sha1: '', rmd160: '-rmd160', shake128: '-shake128' };
const HASH = /^([0-9a-f]{40})(?:-(rmd160|shake128))?$/;
const PATH = /^([0-9a-f]{2})\/([0-9a-f]{38}(?:-(?:rmd160|shake128))?)([CPXHM]?)(\.raw)?$/;

/** Null for what is not a hash of an object. MD5 names paths, never objects. */
export function readHash(text: string, kind: ObjectKind): ObjectId | null {
  const match = HASH.exec(text);
  if (!match?.[1]) return null;
  const algorithm = (match[2] ?? 'sha1') as HashAlgorithm;
  return { algorithm, hex: match[1], kind };
}

/** `b6c1…9e-rmd160`, as manifests and catalogs have it. */
export function hashText(id: ObjectId): string {
  return id.hex + TAILS[id.algorithm];
}

/** `b6/c1…9e-rmd160P`: below `data/` on a server. */
export function objectPath(id: ObjectId): string {
  return `${id.hex.slice(0, 2)}/${id.hex.slice(2)}${TAILS[id.algorithm]}${id.kind}`;
}

/**
 * Below the cache directory. What a server stores as it is has the hash of its contents for a name, what it compresses
 * that of the compressed bytes: with one name for both, a hostile repository could have the compressed bytes of
 * another's object put in that object's place.
 */
export function cachePath(id: ObjectId): string {
  return objectPath(id) + (id.raw ? '.raw' : '');
}

export function isObjectPath(path: string): boolean {
  return PATH.test(path);
}

/** The object whose path in the cache that is. Throws `invalid_argument`. */
export function parseObjectPath(path: string): ObjectId {
  const match = PATH.exec(path);
  const id = match && readHash(`${match[1]}${match[2]}`, match[3] as ObjectKind);
  if (id) return match[4] === undefined ? id : { ...id, raw: true };
  throw new ThinlayerError('invalid_argument', `${JSON.stringify(path)} is not the path of an object`);
}

/** 160 bits for each algorithm: SHAKE128 is cut to them. */
export function hasher(algorithm: HashAlgorithm): Hash {
  switch (algorithm) {
    case 'sha1':
      return createHash('sha1');
    case 'rmd160':
      return createHash('ripemd160');
    case 'shake128':
      return createHash('shake128', { outputLength: 20 });
  }
}

export function hexDigest(algorithm: HashAlgorithm, bytes: Buffer): string {
  return hasher(algorithm).update(bytes).digest('hex');
}
