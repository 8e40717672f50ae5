/** Keys of repositories made for tests: a master key, which signs whitelists, and a certificate, which signs manifests. */

import { createPublicKey, generateKeyPairSync, randomBytes, sign, X509Certificate } from 'node:crypto';
import type { KeyObject } from 'node:crypto';

import { bitString, integer, nothing, objectIdentifier, sequence, set, time, utf8 } from './der.js';

export interface Certificate {
  readonly key: KeyObject;
  readonly pem: string;
  readonly der: Buffer;
}

export interface RepositoryKeys {
  readonly master: KeyObject;
  /** As a client is given it. */
  readonly masterPublicPem: string;
  readonly certificate: Certificate;
}

const COMMON_NAME = '2.5.4.3';
const SHA256_WITH_RSA = '1.2.840.113549.1.1.11';

export function newKeys(name: string): RepositoryKeys {
  const master = newKey();
  return { master, masterPublicPem: publicPem(master), certificate: newCertificate(name) };
}

export function newKey(): KeyObject {
  return generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
}

export function publicPem(key: KeyObject): string {
  return createPublicKey(key).export({ type: 'spki', format: 'pem' }).toString();
}

/** Signed by itself: clients take it as a container of a key, whose fingerprint is on the whitelist. */
export function newCertificate(name: string, validUntil = new Date('2096-12-31T00:00:00Z')): Certificate {
  const key = newKey();
  const algorithm = sequence(objectIdentifier(SHA256_WITH_RSA), nothing());
  const owner = sequence(set(sequence(objectIdentifier(COMMON_NAME), utf8(name))));
  const body = sequence(
    integer(randomBytes(8)),
    algorithm,
    owner,
    sequence(time(new Date('2020-01-01T00:00:00Z')), time(validUntil)),
    owner,
    createPublicKey(key).export({ type: 'spki', format: 'der' }),
  );
  const encoded = sequence(body, algorithm, bitString(sign('sha256', body, key)));
  return { key, pem: new X509Certificate(encoded).toString(), der: encoded };
}
