import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inflateSync } from 'node:zlib';

import { EMPTY_BLACKLIST, parseBlacklist } from '../../../src/cvmfs/embedded/blacklist.js';
import { parseManifest } from '../../../src/cvmfs/embedded/manifest.js';
import { objectPath } from '../../../src/cvmfs/embedded/object-id.js';
import {
  checkCertificate,
  checkManifestSignature,
  checkRevision,
  openManifest,
  openWhitelist,
  parseCertificate,
  readMasterKey,
} from '../../../src/cvmfs/embedded/trust.js';
import type { MasterKey } from '../../../src/cvmfs/embedded/trust.js';
import { fixture, masterKey } from './fixtures.js';

const NOW = Date.UTC(2026, 10, 25);
const THIN = 'thin.example.org';
const OTHER = masterKey('other');

function refused(message: RegExp) {
  return { name: 'ThinlayerError', code: 'data_loss', op: 'verify', message };
}

function certificateAt(folder: string) {
  const { certificate } = openManifest(fixture(`${folder}/.cvmfspublished`), fqrnOf(folder)).manifest;
  return parseCertificate(inflateSync(fixture(`${folder}/data/${objectPath(certificate)}`)), fqrnOf(folder));
}

function fqrnOf(folder: string): string {
  return `${folder.split('/')[0]}.example.org`;
}

function whitelistAt(path: string, { keys = [masterKey(THIN)], now = NOW } = {}) {
  return openWhitelist(fixture(path), THIN, keys, now);
}

/** The whole chain, as it is checked when a repository is opened. */
function verified(folder: string): string {
  const fqrn = fqrnOf(folder);
  const { letter } = openManifest(fixture(`${folder}/.cvmfspublished`), fqrn);
  const certificate = certificateAt(folder);
  checkManifestSignature(letter, certificate, fqrn);
  const whitelist = openWhitelist(fixture(`${folder}/.cvmfswhitelist`), fqrn, [OTHER, masterKey(fqrn)], NOW);
  return checkCertificate(certificate, whitelist, EMPTY_BLACKLIST, fqrn);
}

test('repositories of every hash algorithm are trusted, with any of several master keys', () => {
  assert.equal(verified('thin/rev-1'), '75:C8:3E:C4:4A:15:E8:18:3F:5A:6F:22:20:AD:63:B3:77:10:43:B9');
  assert.equal(
    verified('shake/repo'),
    '53:DE:5A:CB:93:10:6B:38:DD:06:31:CC:43:57:FB:F3:11:38:65:6C-SHAKE128',
  );
  assert.equal(verified('rmd160/repo'), 'F2:57:D5:A8:09:E8:A2:BD:E8:CE:3C:24:09:33:B6:59:71:CA:C0:D8-RMD160');
  // Manifest and certificate by SHA-1, whitelist by SHAKE128.
  assert.equal(
    verified('mixed/repo'),
    '23:F0:BF:07:95:A0:6A:CD:32:3D:05:C0:F2:C9:8E:88:19:6F:2A:6A-SHAKE128',
  );
});

test('a manifest tells root catalog, revision, times and certificate', () => {
  const { manifest } = openManifest(fixture('thin/rev-1/.cvmfspublished'), THIN);
  assert.deepEqual(manifest, {
    fqrn: THIN,
    root: { algorithm: 'sha1', hex: '0e452694aa29a822e75652930254c42a728af184', kind: 'C' },
    rootSize: 819200,
    certificate: { algorithm: 'sha1', hex: '2b107979dd9a2b7a0e764b41c41a999cd3059154', kind: 'X' },
    revision: 7,
    ttlSeconds: 240,
    published: 1795488775,
    alternativePaths: false,
    history: { algorithm: 'sha1', hex: '845850788fc3b8d001550cd9e3981bbeec11a059', kind: 'H' },
    metaInfo: { algorithm: 'sha1', hex: 'eb6935fa493ebe7f7809d777aaa9341b502784c4', kind: 'M' },
  });
  assert.equal(
    openManifest(fixture('alt/repo/.cvmfspublished'), 'alt.example.org').manifest.alternativePaths,
    true,
  );
});

test('a root catalog of 0 bytes is one whose size the publisher does not know', () => {
  const { lines } = openManifest(fixture('thin/rev-1/.cvmfspublished'), THIN).letter;
  for (const [line, size] of [
    ['B0', null],
    ['B1', 1],
  ] as const) {
    const changed = lines.map((each) => (each.startsWith('B') ? line : each));
    assert.equal(parseManifest(changed, THIN).rootSize, size);
  }
});

test('manifests that lie are refused, and the fault is named', () => {
  const faults: [string, RegExp][] = [
    ['tampered-manifest', /was changed: its lines do not have the hash/],
    ['unsigned-manifest', /is not signed/],
    ['wrong-name', /is that of another repository, "other\.example\.org"/],
    ['wrong-root-path', /root path other than \//],
  ];
  for (const [variant, message] of faults) {
    const bytes = fixture(`broken/${variant}/.cvmfspublished`);
    assert.throws(() => openManifest(bytes, THIN), refused(message), variant);
  }
});

test('a signature counts for its lines alone', () => {
  const certificate = certificateAt('thin/rev-1');
  for (const variant of ['tampered-manifest-rehashed', 'bad-manifest-signature']) {
    const { letter } = openManifest(fixture(`broken/${variant}/.cvmfspublished`), THIN);
    assert.throws(() => checkManifestSignature(letter, certificate, THIN), refused(/its signature is wrong/));
  }
});

test('whitelists that lie are refused, and the fault is named', () => {
  const faults: [string, RegExp][] = [
    ['expired-whitelist', /expired at .*this host's clock says 2026-11-25T00:00:00\.000Z/],
    ['whitelist-other-master', /not signed with a known master key \(.*thin\.example\.org\.pub\)/],
    ['whitelist-wrong-name', /is that of another repository: "N/],
    ['whitelist-tampered', /not signed with a known master key/],
    ['whitelist-empty', /is not signed: there is no line "--"/],
  ];
  for (const [variant, message] of faults) {
    assert.throws(() => whitelistAt(`broken/${variant}/.cvmfswhitelist`), refused(message), variant);
  }
});

test('without a key nothing is signed', () => {
  const keys: MasterKey[] = [];
  const bytes = fixture('thin/rev-1/.cvmfswhitelist');
  assert.throws(() => openWhitelist(bytes, THIN, keys, NOW), refused(/\(no key at all\)/));
});

test('comments, blank lines and several fingerprints are what a whitelist may have', () => {
  const certificate = certificateAt('thin/rev-1');
  for (const variant of ['ok-two-fingerprints-with-comments', 'ok-blank-and-comment-lines']) {
    const whitelist = whitelistAt(`broken/${variant}/.cvmfswhitelist`);
    assert.match(checkCertificate(certificate, whitelist, EMPTY_BLACKLIST, THIN), /^75:C8:/);
  }
});

test('a whitelist expires to the hour, in UTC', () => {
  // E20961231235959
  const path = 'thin/rev-1/.cvmfswhitelist';
  assert.ok(whitelistAt(path, { now: Date.UTC(2096, 11, 31, 22, 59, 59) }));
  const now = Date.UTC(2096, 11, 31, 23, 0, 0);
  assert.throws(() => whitelistAt(path, { now }), refused(/expired at 2096-12-31T23:59:59/));
});

test('a certificate has to be on the whitelist, and must not be on the blacklist', () => {
  const whitelist = whitelistAt('thin/rev-1/.cvmfswhitelist');
  const pem = fixture('broken/cert-not-whitelisted/data/5b/f9f329f5cb91a7cf52f97f2404a06c08c8d46fX');
  const stranger = parseCertificate(inflateSync(pem), THIN);
  assert.throws(
    () => checkCertificate(stranger, whitelist, EMPTY_BLACKLIST, THIN),
    refused(/not on its whitelist/),
  );

  const blacklist = parseBlacklist(
    '# bad ones\n75:C8:3E:C4:4A:15:E8:18:3F:5A:6F:22:20:AD:63:B3:77:10:43:B9 lost\n',
  );
  const certificate = certificateAt('thin/rev-1');
  assert.throws(
    () => checkCertificate(certificate, whitelist, blacklist, THIN),
    refused(/on this host's blacklist/),
  );
});

test('the dates of a certificate do not count', () => {
  const pem = fixture('broken/ok-expired-x509/data/1e/7be868b64f1ffedfad05f7c453ab05221b1ee2X');
  const certificate = parseCertificate(inflateSync(pem), THIN);
  const { letter } = openManifest(fixture('broken/ok-expired-x509/.cvmfspublished'), THIN);
  checkManifestSignature(letter, certificate, THIN);
  const whitelist = whitelistAt('broken/ok-expired-x509/.cvmfswhitelist');
  assert.ok(checkCertificate(certificate, whitelist, EMPTY_BLACKLIST, THIN));
});

test('a blacklist bars revisions of one repository', () => {
  const blacklist = parseBlacklist(`<${THIN} 8\n<other.example.org 100\nnonsense\n`);
  assert.throws(() => checkRevision(7, blacklist, THIN), refused(/revision 7 of .* asks for 8 or later/));
  checkRevision(8, blacklist, THIN);
});

test('a master key has to be an RSA key', () => {
  const message = /^\/keys\/x\.pub is not an RSA public key in PEM form/;
  assert.throws(() => readMasterKey('junk', '/keys/x.pub'), { code: 'invalid_argument', message });
});
