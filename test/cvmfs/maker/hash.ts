/** Content hashes, as CVMFS writes them: hexadecimal, with the algorithm's name behind all but SHA-1. */

import { createHash } from 'node:crypto';

export type HashAlgorithm = 'sha1' | 'rmd160' | 'shake128';

/** In the order of the bits in a catalog's flags. */
export const ALGORITHMS: readonly HashAlgorithm[] = ['sha1', 'rmd160', 'shake128'];

export interface ContentHash {
  readonly algorithm: HashAlgorithm;
  /** 20 bytes: SHAKE128 is cut to them. */
  readonly bytes: Buffer;
}

export function hashOf(algorithm: HashAlgorithm, content: Uint8Array): ContentHash {
  const name = algorithm === 'rmd160' ? 'ripemd160' : algorithm;
  const options = algorithm === 'shake128' ? { outputLength: 20 } : {};
  return { algorithm, bytes: createHash(name, options).update(content).digest() };
}

export function hashText({ algorithm, bytes }: ContentHash): string {
  return bytes.toString('hex') + (algorithm === 'sha1' ? '' : `-${algorithm}`);
}
