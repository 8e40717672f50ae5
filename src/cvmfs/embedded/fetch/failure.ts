/** One failed attempt to fetch something. It stays within fetch/: what leaves it is a ThinlayerError. */

import type { Route } from './routes.js';

export class TransferFailure extends Error {
  override readonly name = 'TransferFailure';
  /** Who is left alone from now on. */
  readonly blame: 'host' | 'proxy';
  /** It may have been an accident of the network: the same may be asked once more. */
  readonly accident: boolean;

  constructor(
    blame: 'host' | 'proxy',
    message: string,
    { accident = false, cause = undefined as unknown } = {},
  ) {
    super(message, cause === undefined ? undefined : { cause });
    this.blame = blame;
    this.accident = accident;
  }
}

/** Behind a proxy the proxy is the first suspect; without one there is but the server. */
export function suspect({ proxy }: Route): 'host' | 'proxy' {
  return proxy === null ? 'host' : 'proxy';
}

/** A broken or refused connection, a name that is not found, a transfer that was cut. */
export function networkFailure(error: unknown, route: Route): TransferFailure {
  if (error instanceof TransferFailure) return error;
  const { code = '', message = '' } = error as { code?: string; message?: string };
  const what = [code, message].filter((text) => text !== '').join(': ') || String(error);
  // A name that is not there now will not be there in a second.
  const accident = code !== 'ENOTFOUND';
  return new TransferFailure(suspect(route), what, { accident, cause: error });
}

interface Answer {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

/**
 * Null for 200. Else as CERN's client judges: 400, 404, 416 and 5xx are the server's, unless a proxy says that it is its
 * own; other codes are the proxy's, if there is one. Redirects are not followed: they would lead out of the list of
 * servers.
 */
export function statusFailure({ statusCode, headers }: Answer, route: Route): TransferFailure | null {
  if (statusCode === 200) return null;
  const what = `answered ${statusCode}`;
  if (statusCode >= 300 && statusCode < 400) {
    const target = String(headers['location'] ?? 'nowhere').slice(0, 200);
    return new TransferFailure('host', `${what}: a redirect to ${target}, which is not followed`);
  }
  if (statusCode === 429)
    return new TransferFailure('host', `${what}: too many requests`, { accident: true });
  const ofHost = statusCode >= 500 || [400, 404, 416].includes(statusCode);
  const proxysWord = headers['x-squid-error'] !== undefined || /error=/.test(String(headers['proxy-status']));
  return new TransferFailure(ofHost && !proxysWord ? 'host' : suspect(route), what);
}
