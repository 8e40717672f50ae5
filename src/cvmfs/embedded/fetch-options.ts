/** What the configuration means for fetching. */

import { SYSTEM_CLOCK } from './clock.js';
import type { ClientConfig, NetworkConfig } from './config/client-config.js';
import type { Proxies } from './config/servers.js';
import { FETCH_DEFAULTS } from './fetch/fetcher.js';
import type { FetchOptions } from './fetch/fetcher.js';
import type { Proxy } from './fetch/routes.js';

/** A timer of Node that is told more than that ends at once. */
const LONGEST_MS = 2 ** 31 - 1;

export function fetchOptions({ servers, proxies, network }: ClientConfig): FetchOptions {
  return {
    ...FETCH_DEFAULTS,
    hosts: servers,
    proxies: proxyGroups(proxies),
    ...resets(network),
    timeoutMs: milliseconds(network.timeoutSeconds),
    timeoutDirectMs: milliseconds(network.timeoutDirectSeconds),
    lowSpeed: network.lowSpeedLimit,
    maxRetries: network.maxRetries,
    backoffInitMs: milliseconds(network.backoffInitSeconds),
    backoffMaxMs: milliseconds(network.backoffMaxSeconds),
    clock: SYSTEM_CLOCK,
  };
}

/** Of external files. */
export function externalFetchOptions(config: ClientConfig): FetchOptions {
  const { servers, proxies, timeoutSeconds, timeoutDirectSeconds } = config.external;
  return {
    ...fetchOptions(config),
    hosts: servers,
    proxies: proxyGroups(proxies),
    timeoutMs: milliseconds(timeoutSeconds),
    timeoutDirectMs: milliseconds(timeoutDirectSeconds),
  };
}

function milliseconds(seconds: number): number {
  return Math.min(seconds * 1000, LONGEST_MS);
}

function proxyGroups({ groups, fallback }: Proxies): Proxy[][] {
  return [...groups, ...fallback].map((group) => group.map((proxy) => (proxy === 'DIRECT' ? null : proxy)));
}

function resets({ hostResetSeconds, proxyResetSeconds }: NetworkConfig) {
  return {
    ...(hostResetSeconds !== null && { hostResetMs: hostResetSeconds * 1000 }),
    ...(proxyResetSeconds !== null && { proxyResetMs: proxyResetSeconds * 1000 }),
  };
}
