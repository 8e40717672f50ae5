/**
 * The chain of trust: a master key known beforehand signed the whitelist, the whitelist names a certificate, the
 * certificate's key signed the manifest, the manifest names the root catalog. Each function checks one link and throws
 * a refusal; none fetches.
 */

import { X509Certificate, constants, createPublicKey, publicDecrypt, verify } from 'node:crypto';
import type { KeyObject } from 'node:crypto';

import { ThinlayerError } from '../../core/errors.js';
import type { Blacklist } from './blacklist.js';
import { fingerprintText, isFingerprintOf } from './fingerprint.js';
import type { Letter } from './letter.js';
import { parseLetter } from './letter.js';
import { parseManifest } from './manifest.js';
import type { Manifest } from './manifest.js';
import { refusal } from './refusal.js';
import { checkNotExpired, parseWhitelist } from './whitelist.js';
import type { Whitelist } from './whitelist.js';

export interface MasterKey {
  /** Where it was read, for messages. */
  readonly path: string;
  readonly key: KeyObject;
}

export const MAX_CERTIFICATE_BYTES = 64 * 1024;

/** A `.pub` file of `/etc/cvmfs/keys`. Throws `invalid_argument`. */
export function readMasterKey(pem: string, path: string): MasterKey {
  try {
    const key = createPublicKey(pem);
    if (key.asymmetricKeyType === 'rsa') return { path, key };
    throw new Error(`its type is ${key.asymmetricKeyType}`);
  } catch (cause) {
    throw new ThinlayerError(
      'invalid_argument',
      `${path} is not an RSA public key in PEM form: ${(cause as Error).message}; get the repository's key from its owner`,
      { path, cause },
    );
  }
}

/** What `.cvmfspublished` says. Not trusted before `checkManifestSignature`. */
export function openManifest(bytes: Buffer, fqrn: string): { letter: Letter; manifest: Manifest } {
  const letter = parseLetter(bytes, `manifest of ${fqrn}`);
  return { letter, manifest: parseManifest(letter.lines, fqrn) };
}

/** What `.cvmfswhitelist` says: signed with one of the master keys, of this repository, not expired at `now`. */
export function openWhitelist(
  bytes: Buffer,
  fqrn: string,
  keys: readonly MasterKey[],
  now: number,
): Whitelist {
  const letter = parseLetter(bytes, `whitelist of ${fqrn}`);
  const whitelist = parseWhitelist(letter.lines, fqrn);
  checkNotExpired(whitelist, fqrn, now);
  if (keys.some(({ key }) => isSignedWith(letter, key))) return whitelist;
  const known = keys.map(({ path }) => path).join(', ') || 'no key at all';
  throw refusal(`whitelist of ${fqrn} is not signed with a known master key (${known})`);
}

/** The private-key operation with type 1 padding on the text of the hash itself: there is no DigestInfo around it. */
function isSignedWith(letter: Letter, key: KeyObject): boolean {
  const signed = { key, padding: constants.RSA_PKCS1_PADDING };
  const recovered = unlessOpensslRefuses(() => publicDecrypt(signed, letter.signature));
  return recovered !== null && recovered.equals(Buffer.from(letter.hash, 'latin1'));
}

/** OpenSSL throws for a signature of another key, of another length, or of no form at all. */
function unlessOpensslRefuses<T>(work: () => T): T | null {
  try {
    return work();
  } catch (error) {
    if (error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_OSSL')) return null;
    throw error;
  }
}

/** It is a container of a key: its dates and names are looked at by nobody (CVMFS signs with expired ones). */
export function parseCertificate(pem: Buffer, fqrn: string): X509Certificate {
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(pem);
    if (certificate.publicKey.asymmetricKeyType === 'rsa') return certificate;
  } catch (cause) {
    throw refusal(`certificate of ${fqrn} cannot be read: ${(cause as Error).message}`, cause);
  }
  throw refusal(`certificate of ${fqrn} has no RSA key`);
}

/** PKCS#1 v1.5 with SHA-1, whatever the repository's own hash algorithm is. */
export function checkManifestSignature(letter: Letter, certificate: X509Certificate, fqrn: string): void {
  const signed = Buffer.from(letter.hash, 'latin1');
  const { publicKey } = certificate;
  if (unlessOpensslRefuses(() => verify('sha1', signed, publicKey, letter.signature)) === true) return;
  throw refusal(
    `manifest of ${fqrn} is not signed with the certificate that it names: its signature is wrong`,
  );
}

/** Answers the fingerprint, as the whitelist has it. */
export function checkCertificate(
  certificate: X509Certificate,
  whitelist: Whitelist,
  blacklist: Blacklist,
  fqrn: string,
): string {
  const barred = blacklist.fingerprints.find((fingerprint) => isFingerprintOf(fingerprint, certificate));
  if (barred)
    throw refusal(`certificate of ${fqrn}, ${fingerprintText(barred)}, is on this host's blacklist`);
  const listed = whitelist.fingerprints.find((fingerprint) => isFingerprintOf(fingerprint, certificate));
  if (listed) return fingerprintText(listed);
  throw refusal(`certificate of ${fqrn} is not on its whitelist`);
}

export function checkRevision(revision: number, blacklist: Blacklist, fqrn: string): void {
  const minimum = blacklist.minimumRevisions.get(fqrn) ?? 0;
  if (revision >= minimum) return;
  throw refusal(
    `revision ${revision} of ${fqrn} is on this host's blacklist, which asks for ${minimum} or later`,
  );
}
