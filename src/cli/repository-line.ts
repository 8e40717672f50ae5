/** One line of `thinlayer repositories`. */

import type { PrefetchCounts, RepositoryReport } from '../core/repository.js';

export function repositoryLine({ repository, state, holders, cause, facts }: RepositoryReport): string {
  const told = [
    ...(facts ? [`revision ${facts.revision}`, `${facts.cacheBytes} bytes in the cache`] : []),
    ...(facts?.prefetch ? [prefetched(facts.prefetch)] : []),
    ...[facts?.offline, facts?.failure, cause].filter((text) => typeof text === 'string'),
  ];
  return `${state.padEnd(10)} ${String(holders).padStart(4)}  ${repository}  ${told.join('; ')}`;
}

function prefetched({ recorded, objects, bytes, hits, wastedBytes }: PrefetchCounts): string {
  return `fetched ahead ${objects} objects of ${bytes} bytes (opened ${hits}, not opened ${wastedBytes} bytes), recorded ${recorded} profiles`;
}
