/** Fingerprints of certificates, as whitelists and blacklists have them. */

import type { X509Certificate } from 'node:crypto';

import { hashText, hexDigest, readHash } from './object-id.js';
import type { ObjectId } from './object-id.js';

/** `75:C8:…:B9-SHAKE128 # comment`: a hash of the certificate's DER form. Null for a line that is none. */
export function readFingerprint(line: string): ObjectId | null {
  const [text = ''] = line.split(/[ \t#]/, 1);
  return readHash(text.replaceAll(':', '').toLowerCase(), 'X');
}

export function isFingerprintOf(fingerprint: ObjectId, certificate: X509Certificate): boolean {
  return hexDigest(fingerprint.algorithm, certificate.raw) === fingerprint.hex;
}

/** In the spelling of whitelists. */
export function fingerprintText(fingerprint: ObjectId): string {
  const pairs = fingerprint.hex.match(/../g) ?? [];
  return `${pairs.join(':')}${hashText(fingerprint).slice(fingerprint.hex.length)}`.toUpperCase();
}
