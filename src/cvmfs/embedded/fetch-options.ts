/** What the configuration means for fetching. */

import { SYSTEM_CLOCK } from './clock.js';
import type { ClientConfig, NetworkConfig } from './config/client-config.js';
import type { Proxies } from './config/servers.js';
import { FETCH_DEFAULTS } from './fetch/fetcher.js';
import type { FetchOptions } from './fetch/fetcher.js';
import type { Proxy } from './fetch/routes.js';

export function fetchOptions({ servers, proxies, network }: ClientConfig): FetchOptions {
  return {
    ...FETCH_DEFAULTS,
    hosts: servers,
    proxies: proxyGroups(proxies),
    ...resets(network),
    timeoutMs: network.timeoutSeconds * 1000,
    timeoutDirectMs: network.timeoutDirectSeconds * 1000,
    lowSpeed: network.lowSpeedLimit,
    maxRetries: network.maxRetries,
    backoffInitMs: network.backoffInitSeconds * 1000,
    backoffMaxMs: network.backoffMaxSeconds * 1000,
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
    timeoutMs: timeoutSeconds * 1000,
    timeoutDirectMs: timeoutDirectSeconds * 1000,
  };
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
