/** Whatever a server sends: the parsers answer, or refuse; they throw nothing else and do not hang. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inflateSync } from 'node:zlib';

import * as fc from 'fast-check';

import { ThinlayerError } from '../../../src/core/errors.js';
import { parseBlacklist } from '../../../src/cvmfs/embedded/blacklist.js';
import { hashText, hexDigest } from '../../../src/cvmfs/embedded/object-id.js';
import {
  checkManifestSignature,
  openManifest,
  openWhitelist,
  parseCertificate,
} from '../../../src/cvmfs/embedded/trust.js';
import { fixture, masterKey } from './fixtures.js';

const THIN = 'thin.example.org';
const KEYS = [masterKey(THIN)];
const MANIFEST = fixture('thin/rev-1/.cvmfspublished');
const WHITELIST = fixture('thin/rev-1/.cvmfswhitelist');
const PEM = inflateSync(fixture('thin/rev-1/data/2b/107979dd9a2b7a0e764b41c41a999cd3059154X'));
const CERTIFICATE = parseCertificate(PEM, THIN);

function openVerified(bytes: Buffer): void {
  checkManifestSignature(openManifest(bytes, THIN).letter, CERTIFICATE, THIN);
}

function openWhitelisted(bytes: Buffer): void {
  openWhitelist(bytes, THIN, KEYS, 0);
}

/** True if it was accepted. */
function accepted(work: () => void): boolean {
  try {
    work();
    return true;
  } catch (error) {
    assert.ok(error instanceof ThinlayerError, `threw ${String(error)}`);
    return false;
  }
}

/** One edit: bytes replaced, cut out or put in. */
const edits = fc.record({
  at: fc.nat(700),
  cut: fc.oneof(fc.constantFrom(0, 1), fc.nat(700)),
  put: fc.oneof(
    fc.uint8Array({ maxLength: 4 }),
    fc.constantFrom('\n', '--\n', '\n--\n').map((s) => Buffer.from(s)),
  ),
});

function edited(bytes: Buffer, { at, cut, put }: { at: number; cut: number; put: Uint8Array }): Buffer {
  const from = Math.min(at, bytes.length);
  return Buffer.concat([bytes.subarray(0, from), put, bytes.subarray(from + cut)]);
}

/** A letter whose lines have the hash that it prints: what an attacker can make without a key. */
function rehashed(lines: string, signature: Uint8Array): Buffer {
  const body = Buffer.from(lines, 'latin1');
  const hash = hashText({ algorithm: 'sha1', hex: hexDigest('sha1', body), kind: '' });
  return Buffer.concat([body, Buffer.from(`--\n${hash}\n`), signature]);
}

test('random bytes are refused', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
      for (const open of [openVerified, openWhitelisted])
        assert.equal(
          accepted(() => open(Buffer.from(bytes))),
          false,
        );
      assert.equal(
        accepted(() => parseCertificate(Buffer.from(bytes), THIN)),
        false,
      );
      parseBlacklist(Buffer.from(bytes).toString('latin1'));
    }),
    { numRuns: 500 },
  );
});

test('no edit of a signed letter is accepted', () => {
  fc.assert(
    fc.property(edits, (edit) => {
      for (const [original, open] of [
        [MANIFEST, openVerified],
        [WHITELIST, openWhitelisted],
      ] as const) {
        const bytes = edited(original, edit);
        assert.equal(
          accepted(() => open(bytes)),
          bytes.equals(original),
        );
      }
    }),
    { numRuns: 1000 },
  );
});

test('lines of any kind under a hash that fits are refused for want of a signature', () => {
  const keys = fc.constantFrom(...'CRDSBNXHTMGAYZ', 'E', 'V', 'W', '');
  const values = fc.oneof(
    fc.stringMatching(/^[\x20-\xff]{0,30}$/),
    fc.constantFrom(
      THIN,
      'd41d8cd98f00b204e9800998ecf8427e',
      '0e452694aa29a822e75652930254c42a728af184',
      '7',
      '1e9',
    ),
  );
  const lines = fc.array(fc.tuple(keys, values), { maxLength: 20 });
  fc.assert(
    fc.property(lines, fc.uint8Array({ maxLength: 300 }), (pairs, signature) => {
      const text = pairs.map(([key, value]) => `${key}${value}\n`).join('');
      const bytes = rehashed(text, signature);
      for (const open of [openVerified, openWhitelisted])
        assert.equal(
          accepted(() => open(bytes)),
          false,
        );
    }),
    { numRuns: 500 },
  );
});

test('a mutated certificate never throws anything but a refusal', () => {
  fc.assert(
    fc.property(edits, (edit) => {
      accepted(() => parseCertificate(edited(PEM, edit), THIN));
    }),
    { numRuns: 300 },
  );
});
