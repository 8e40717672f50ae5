/** Where objects come from: CVMFS_SERVER_URL, CVMFS_HTTP_PROXY and CVMFS_FALLBACK_PROXY; and the same of external files. */

import { ThinlayerError } from '../../../core/errors.js';
import type { Settings, Sourced } from './settings.js';

/** `DIRECT`: without a proxy; else the proxy's URL, its port always named. */
export type Proxy = string;

export interface Proxies {
  /** Groups to fail over to, one after the other. The proxies of a group share the load. */
  readonly groups: readonly (readonly Proxy[])[];
  /** Tried when all groups failed. */
  readonly fallback: readonly (readonly Proxy[])[];
}

const DIRECT = 'DIRECT';

/** The port of a proxy that names none, as libcurl has it, which CERN's client uses. */
const PROXY_PORT = 1080;

/** Base URLs without a slash at their end, in the order in which they are to be tried. */
export function readServers(
  settings: Settings,
  name: 'CVMFS_SERVER_URL' | 'CVMFS_EXTERNAL_URL' = 'CVMFS_SERVER_URL',
): readonly string[] {
  return settings.list(name, ';').map(({ text }) => {
    const url = URL.canParse(text) ? new URL(text) : null;
    if (url && /^https?:$/.test(url.protocol) && url.search === '' && url.hash === '') {
      return text.replace(/\/+$/, '');
    }
    throw settings.wrong(name, text, 'the URL of a server, like http://HOST/cvmfs/@fqrn@');
  });
}

/**
 * DIRECT stands among the groups only where there is no fallback proxy, and never among those: a fallback proxy is to be used
 * before the servers are asked directly, which then is not done at all (CERN's client: download.cc, SetProxyChain).
 */
export function readProxies(settings: Settings): Proxies {
  const groups = readGroups(settings, 'CVMFS_HTTP_PROXY');
  const fallback = withoutDirect(readGroups(settings, 'CVMFS_FALLBACK_PROXY'));
  const isSingle = settings.text('CVMFS_CLIENT_PROFILE') === 'single';
  if (groups.length === 0) return { groups: defaultGroups(isSingle), fallback };
  return withFallback(groups, fallback);
}

/** External files are asked for directly, unless it is said how (CERN's client: mountpoint.cc, SetupExternalDownloadMgr). */
export function readExternalProxies(settings: Settings): Proxies {
  const groups = readGroups(settings, 'CVMFS_EXTERNAL_HTTP_PROXY');
  const fallback = withoutDirect(readGroups(settings, 'CVMFS_EXTERNAL_FALLBACK_PROXY'));
  return withFallback(groups.length === 0 ? [[DIRECT]] : groups, fallback);
}

function withFallback(groups: Proxies['groups'], fallback: Proxies['fallback']): Proxies {
  return { groups: fallback.length > 0 ? withoutDirect(groups) : groups, fallback };
}

/** A single machine, or a few, may ask the servers themselves; a cluster needs a proxy, so somebody has to choose. */
function defaultGroups(isSingle: boolean): Proxies['groups'] {
  if (isSingle) return [[DIRECT]];
  throw new ThinlayerError(
    'failed_precondition',
    'CVMFS_HTTP_PROXY is not set; write CVMFS_HTTP_PROXY=DIRECT, or the proxies of your site, into default.local',
  );
}

function readGroups(settings: Settings, name: string): readonly (readonly Proxy[])[] {
  const groups = settings
    .list(name, ';')
    .map((group) => proxiesOf(group).map((p) => readProxy(settings, name, p)));
  return groups.filter((group) => group.length > 0);
}

function proxiesOf({ text }: Sourced): string[] {
  return text
    .split('|')
    .map((proxy) => proxy.trim())
    .filter((proxy) => proxy !== '');
}

function withoutDirect(groups: readonly (readonly Proxy[])[]): readonly (readonly Proxy[])[] {
  return groups.map((group) => group.filter((p) => p !== DIRECT)).filter((group) => group.length > 0);
}

function readProxy(settings: Settings, name: string, text: string): Proxy {
  if (text === DIRECT) return DIRECT;
  if (text === 'auto' || text.startsWith('pac+')) throw automatic(settings.from(name), name);
  const withScheme = /^https?:\/\//i.test(text) ? text : `http://${text}`;
  const url = URL.canParse(withScheme) ? new URL(withScheme) : null;
  if (!url || url.hostname === '' || url.pathname !== '/' || url.search !== '') {
    throw settings.wrong(name, text, 'a proxy, like http://HOST:3128, nor DIRECT');
  }
  // A port that is its scheme's default is not in url.port, although the text names it.
  const port = /:(\d+)\/?$/.exec(withScheme)?.[1] ?? String(PROXY_PORT);
  const user = url.username === '' ? '' : `${url.username}:${url.password}@`;
  return `${url.protocol}//${user}${url.hostname}:${port}`;
}

function automatic(from: string, name: string): ThinlayerError {
  return new ThinlayerError(
    'unimplemented',
    `${from}: ${name}: finding proxies by WPAD or a PAC file ("auto") is not supported; name the proxies, or DIRECT`,
  );
}
