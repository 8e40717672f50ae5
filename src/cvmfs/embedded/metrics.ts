/** Counters of a client in Prometheus' text format. */

import type { PrefetchCounts } from '../../core/repository.js';
import type { ClientStatus } from './client.js';
import type { HostCounts } from './fetch/counters.js';

type Kind = 'counter' | 'gauge';

/** Native counters by their names; what is not here is not told. */
const NATIVE: Readonly<Record<string, readonly [name: string, kind: Kind, help: string]>> = {
  lookups: ['lookups_total', 'counter', 'Names looked up by the kernel.'],
  opens: ['opens_total', 'counter', 'Files opened.'],
  listings: ['listings_total', 'counter', 'Directories listed.'],
  reads: ['reads_total', 'counter', 'Reads answered.'],
  bytesRead: ['read_bytes_total', 'counter', 'Bytes handed to the kernel.'],
  misses: ['misses_total', 'counter', 'Objects that were not in the cache when they were needed.'],
  failures: ['failures_total', 'counter', 'Requests of the kernel that ended with an error.'],
  waiting: ['waiting', 'gauge', 'Requests that wait for an object.'],
  inodes: ['inodes', 'gauge', 'Files and directories that the kernel knows.'],
  catalogs: ['catalogs', 'gauge', 'Catalogs that are loaded.'],
};

const PREFETCH: Readonly<Record<Exclude<keyof PrefetchCounts, 'wastedBytes'>, readonly [string, string]>> = {
  recorded: ['prefetch_profiles_total', 'Profiles written: what images read at their starts.'],
  objects: ['prefetch_objects_total', 'Objects fetched ahead.'],
  bytes: ['prefetch_bytes_total', 'Bytes of objects fetched ahead.'],
  hits: ['prefetch_hits_total', 'Objects fetched ahead that were opened later.'],
};

export function metricsText(status: ClientStatus, hosts: ReadonlyMap<string, Readonly<HostCounts>>): string {
  const label = `repository="${status.repository}"`;
  const lines: string[] = [];
  const add = (name: string, kind: Kind, help: string, values: readonly (readonly [string, number])[]) => {
    lines.push(`# HELP thinlayer_cvmfs_${name} ${help}`, `# TYPE thinlayer_cvmfs_${name} ${kind}`);
    for (const [labels, value] of values) lines.push(`thinlayer_cvmfs_${name}{${label}${labels}} ${value}`);
  };
  const gauge = (name: string, help: string, value: number) => add(name, 'gauge', help, [['', value]]);
  for (const [key, [name, kind, help]] of Object.entries(NATIVE)) {
    add(name, kind, help, [['', status.statistics[key] ?? 0]]);
  }
  const byHost = (value: (counts: Readonly<HostCounts>) => number) =>
    [...hosts].map(([host, counts]) => [`,host=${JSON.stringify(host)}`, value(counts)] as const);
  add(
    'requests_total',
    'counter',
    'Transfers begun, by server.',
    byHost(({ requests }) => requests),
  );
  add(
    'fetched_bytes_total',
    'counter',
    'Bytes that arrived, by server.',
    byHost(({ bytes }) => bytes),
  );
  add(
    'fetch_errors_total',
    'counter',
    'Failed or refused transfers, by server.',
    byHost(({ errors }) => errors),
  );
  for (const [key, [name, help]] of Object.entries(PREFETCH)) {
    if (status.prefetch) add(name, 'counter', help, [['', status.prefetch[key as keyof PrefetchCounts]]]);
  }
  gauge('revision', 'The revision that is shown.', status.revision);
  gauge('offline', '1 while no server can be heard.', status.offline === null ? 0 : 1);
  gauge('cache_bytes', 'Bytes of objects in the cache.', status.cache.bytes);
  gauge('cache_objects', 'Objects in the cache.', status.cache.objects);
  gauge('cache_pinned_bytes', 'Bytes that are not evicted.', status.cache.pinnedBytes);
  if (status.cache.limit !== null) gauge('cache_limit_bytes', 'The quota.', status.cache.limit);
  add('cache_evictions_total', 'counter', 'Objects evicted by this process.', [['', status.cache.evictions]]);
  return `${lines.join('\n')}\n`;
}
