/** CVMFS_HTTP_PROXY and CVMFS_FALLBACK_PROXY. */

import { ThinlayerError } from '../../../core/errors.js';

/** A URL; null for DIRECT, the way without a proxy. */
export type Proxy = string | null;

/**
 * Groups by `;`, tried one after the other; within a group, by `|`, load is shared. Fallback groups come last, and
 * take the place of DIRECT, as in CERN's client. Throws `invalid_argument`; `unimplemented` for `auto` and PAC.
 */
export function parseProxies(text: string, fallback = ''): Proxy[][] {
  const backup = groups(fallback, 'CVMFS_FALLBACK_PROXY');
  const regular = groups(text, 'CVMFS_HTTP_PROXY');
  const all = backup.length === 0 ? regular : [...regular.map(withoutDirect), ...backup];
  const used = all.filter((group) => group.length > 0);
  return used.length > 0 ? used : [[null]];
}

function groups(text: string, key: string): Proxy[][] {
  return text
    .split(';')
    .map((group) => group.split('|').flatMap((proxy) => parseProxy(proxy.trim(), key)))
    .filter((group) => group.length > 0);
}

function withoutDirect(group: readonly Proxy[]): Proxy[] {
  return group.filter((proxy) => proxy !== null);
}

function parseProxy(text: string, key: string): Proxy[] {
  if (text === '') return [];
  if (text === 'DIRECT') return [null];
  if (text === 'auto' || text.startsWith('pac+')) {
    throw new ThinlayerError(
      'unimplemented',
      `${key}: ${text} (automatic configuration) is not supported; name the proxies, or DIRECT`,
    );
  }
  const url = text.includes('://') ? text : `http://${text}`;
  if (URL.canParse(url) && /^https?:/.test(url)) return [url];
  throw new ThinlayerError(
    'invalid_argument',
    `${key}: ${JSON.stringify(text)} is not a proxy; write http://HOST:PORT or DIRECT`,
  );
}
