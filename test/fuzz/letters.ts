/** Manifests, whitelists and certificates: what a server sends before anything can be verified. */

import assert from 'node:assert/strict';
import { inflateSync } from 'node:zlib';

import * as fc from 'fast-check';

import { hashText, hexDigest } from '../../src/cvmfs/embedded/object-id.js';
import {
  checkManifestSignature,
  openManifest,
  openWhitelist,
  parseCertificate,
} from '../../src/cvmfs/embedded/trust.js';
import { fixture, masterKey } from '../pure/cvmfs/fixtures.js';
import { mutated } from './mutations.js';
import { taken } from './refusals.js';

const THIN = 'thin.example.org';
const KEYS = [masterKey(THIN)];
const MANIFESTS = [
  'thin/rev-1',
  'thin/rev-2-delta',
  'shake/repo',
  'alt/repo',
  'broken/ok-unknown-manifest-keys',
].map((folder) => fixture(`${folder}/.cvmfspublished`));
const WHITELISTS = ['thin/rev-1', 'mixed/repo', 'broken/ok-two-fingerprints-with-comments'].map((folder) =>
  fixture(`${folder}/.cvmfswhitelist`),
);
const PEM = inflateSync(fixture('thin/rev-1/data/2b/107979dd9a2b7a0e764b41c41a999cd3059154X'));
const CERTIFICATE = parseCertificate(PEM, THIN);

/** The lines have the hash that they print: what can be made without a key. */
function rehashed(bytes: Buffer): Buffer {
  const end = bytes.indexOf('\n--\n') + 1;
  const [body, rest] = [bytes.subarray(0, end), bytes.subarray(end)];
  const signature = rest.subarray(rest.indexOf('\n', 3) + 1);
  const hash = hashText({ algorithm: 'sha1', hex: hexDigest('sha1', body), kind: '' });
  return Buffer.concat([body, Buffer.from(`--\n${hash}\n`), signature]);
}

/** Only what was signed is taken: the lines, their hash and the signature are one, whoever changed them. */
function letterTarget(
  samples: readonly Buffer[],
  open: (bytes: Buffer) => void,
): fc.IProperty<[Buffer, boolean]> {
  const genuine = samples.filter((bytes) => taken(() => open(bytes)));
  assert.ok(genuine.length > 0);
  return fc.property(mutated(samples), fc.boolean(), (bytes, made) => {
    const letter = made ? rehashed(bytes) : bytes;
    if (taken(() => open(letter))) assert.ok(genuine.some((each) => each.equals(letter)));
  });
}

export const manifests = letterTarget(MANIFESTS, (bytes) => {
  checkManifestSignature(openManifest(bytes, THIN).letter, CERTIFICATE, THIN);
});

export const whitelists = letterTarget(WHITELISTS, (bytes) => void openWhitelist(bytes, THIN, KEYS, 0));

export const certificates = fc.property(mutated([PEM]), (bytes) => {
  taken(() => parseCertificate(bytes, THIN));
});
