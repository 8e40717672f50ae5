/**
 * The form of manifest and whitelist: lines, `--`, the hash of the lines, a binary signature up to the end. What is
 * signed is the text of the hash, not the lines.
 */

import { hashText, hexDigest, readHash } from './object-id.js';
import { refusal } from './refusal.js';

export interface Letter {
  /** Without their line ends; bytes above 127 as Latin-1. */
  readonly lines: readonly string[];
  /** The text of the hash: it has been compared with the lines. */
  readonly hash: string;
  readonly signature: Buffer;
}

/** Longest text of a hash, and its line end. */
const HASH_LINE = 50;
/** RSA keys of up to 16384 bits. */
const LONGEST_SIGNATURE = 2048;

/** Throws a refusal that begins with `subject`. The signature is still to be verified. */
export function parseLetter(bytes: Buffer, subject: string): Letter {
  const end = endOfLines(bytes);
  if (end === -1) throw refusal(`${subject} is not signed: there is no line "--"`);
  const body = bytes.subarray(0, end);
  const rest = bytes.subarray(end + '--\n'.length);
  const hashEnd = rest.subarray(0, HASH_LINE).indexOf('\n');
  const printed = readHash(rest.toString('latin1', 0, Math.max(hashEnd, 0)), '');
  if (!printed) throw refusal(`${subject} has no hash of its lines after "--"`);
  if (hexDigest(printed.algorithm, body) !== printed.hex) {
    throw refusal(
      `${subject} was changed: its lines do not have the hash ${hashText(printed)} that it prints`,
    );
  }
  const signature = rest.subarray(hashEnd + 1);
  if (signature.length === 0 || signature.length > LONGEST_SIGNATURE) {
    throw refusal(`${subject} has a signature of ${signature.length} bytes`);
  }
  return { lines: body.toString('latin1').split('\n').slice(0, -1), hash: hashText(printed), signature };
}

function endOfLines(bytes: Buffer): number {
  if (bytes.subarray(0, 3).toString('latin1') === '--\n') return 0;
  const before = bytes.indexOf('\n--\n');
  return before === -1 ? -1 : before + 1;
}
