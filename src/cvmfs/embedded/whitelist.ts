/** `.cvmfswhitelist`: the certificates whose signatures count, signed with the master key. */

import { readFingerprint } from './fingerprint.js';
import type { ObjectId } from './object-id.js';
import { refusal } from './refusal.js';

export interface Whitelist {
  readonly expires: Date;
  readonly fingerprints: readonly ObjectId[];
}

export const MAX_WHITELIST_BYTES = 1024 * 1024;
const HOUR = 3_600_000;

/**
 * Throws a refusal. Two options are refused as well, both rare: `Vpkcs7`, where the signature is in another file, and
 * `Wcachain`, which asks for a check against certificate authorities that this client does not make.
 */
export function parseWhitelist(lines: readonly string[], fqrn: string): Whitelist {
  const subject = `whitelist of ${fqrn}`;
  const [issued = '', expires = '', name = '', ...rest] = lines;
  if (!/^\d{14}$/.test(issued)) throw refusal(`${subject} does not begin with its date of issue`);
  const expiry = expires.startsWith('E') ? readTime(expires.slice(1)) : null;
  if (!expiry) throw refusal(`${subject} does not tell when it expires`);
  if (name !== `N${fqrn}`) {
    throw refusal(`${subject} is that of another repository: ${JSON.stringify(name.slice(0, 80))}`);
  }
  const option = rest.find((line) => line === 'Vpkcs7' || line === 'Wcachain');
  if (option) throw refusal(`${subject} asks for ${option.slice(1)}, which is not supported`);
  const fingerprints = rest.map(readFingerprint).filter((fingerprint) => fingerprint !== null);
  if (fingerprints.length === 0) throw refusal(`${subject} names no certificate`);
  return { expires: expiry, fingerprints };
}

/** To the hour, in UTC, as CERN's client has it: within the hour of its expiry a whitelist is no longer valid. */
export function checkNotExpired(whitelist: Whitelist, fqrn: string, now: number): void {
  if (Math.floor(now / HOUR) < Math.floor(whitelist.expires.getTime() / HOUR)) return;
  throw refusal(
    `whitelist of ${fqrn} expired at ${whitelist.expires.toISOString()}; this host's clock says ` +
      `${new Date(now).toISOString()}: set it right, or ask the repository's owner to renew the whitelist`,
  );
}

/** `YYYYMMDDhhmmss`. Null for what is no time of the calendar. */
function readTime(text: string): Date | null {
  const match = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)$/.exec(text);
  if (!match) return null;
  const [year, month, day, hour, minute, second] = match.slice(1);
  const time = new Date(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  return Number.isNaN(time.getTime()) ? null : time;
}
