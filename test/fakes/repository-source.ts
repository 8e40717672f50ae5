/** A RepositorySource without CVMFS: its calls are recorded, and end as the test says. */

import type { ThinlayerError } from '../../src/core/errors.js';
import type { RepositoryMount, RepositorySource } from '../../src/core/repository.js';

export interface FakeRepositorySource extends RepositorySource {
  /** In order, like `acquire a.example.org`. */
  readonly calls: string[];
  /** Names of the repositories that are mounted. */
  readonly mounted: ReadonlySet<string>;
  /** The mount stops answering. */
  lose(repository: string, reason: ThinlayerError): void;
}

export function fakeRepositorySource(
  replaced: Partial<Pick<RepositorySource, 'resolve' | 'acquire' | 'refresh' | 'release'>> = {},
  whiteouts: readonly string[] = ['layers', '.layers'],
): FakeRepositorySource {
  const calls: string[] = [];
  const mounted = new Set<string>();
  const listeners = new Set<(repository: string, reason: ThinlayerError) => void>();
  let revision = 1;
  const shown = (repository: string): RepositoryMount => ({
    path: `/cvmfs/${repository}`,
    revision,
    anew: false,
    whiteouts,
  });
  return {
    name: 'fake',
    calls,
    mounted,
    async resolve(repository) {
      calls.push(`resolve ${repository}`);
      await replaced.resolve?.(repository);
    },
    async acquire(repository, cancel) {
      calls.push(`acquire ${repository}`);
      const mount = await replaced.acquire?.(repository, cancel);
      const anew = !mounted.has(repository);
      mounted.add(repository);
      return mount ?? { ...shown(repository), anew };
    },
    async refresh(repository) {
      calls.push(`refresh ${repository}`);
      await replaced.refresh?.(repository);
      revision += 1;
      return shown(repository);
    },
    async release(repository) {
      calls.push(`release ${repository}`);
      await replaced.release?.(repository);
      mounted.delete(repository);
    },
    watch(lost) {
      listeners.add(lost);
      return () => listeners.delete(lost);
    },
    lose(repository, reason) {
      mounted.delete(repository);
      for (const listener of listeners) listener(repository, reason);
    },
  };
}
