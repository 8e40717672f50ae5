/** What is signed: lines, `--`, the hash of the lines, and a signature of that hash's text. */

import { constants, privateEncrypt, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';

import { hashOf, hashText } from './hash.js';
import type { HashAlgorithm } from './hash.js';

/** Signs the text of a hash. */
export type Signer = (text: Buffer) => Buffer;

/** Of manifests: PKCS#1 v1.5 with SHA-1, whatever algorithm the repository has. */
export function certificateSigner(key: KeyObject): Signer {
  return (text) => sign('sha1', text, key);
}

/** Of whitelists: the padded text itself, with no digest of it. */
export function masterSigner(key: KeyObject): Signer {
  return (text) => privateEncrypt({ key, padding: constants.RSA_PKCS1_PADDING }, text);
}

export function letter(lines: readonly string[], algorithm: HashAlgorithm, signer: Signer): Buffer {
  const body = Buffer.from(lines.map((line) => `${line}\n`).join(''), 'latin1');
  const hash = Buffer.from(hashText(hashOf(algorithm, body)));
  return Buffer.concat([body, Buffer.from('--\n'), hash, Buffer.from('\n'), signer(hash)]);
}
