/** Several sources as one: each repository has the one that is chosen for it. */

import type { RepositorySource } from '../core/repository.js';

/** `others`: for these repositories, in place of `usual`. */
export function chosenSource(
  usual: RepositorySource,
  others: ReadonlyMap<string, RepositorySource>,
): RepositorySource {
  const sourceOf = (repository: string) => others.get(repository) ?? usual;
  const sources = [...new Set([usual, ...others.values()])];
  return {
    name: usual.name,
    resolve: (repository) => sourceOf(repository).resolve(repository),
    acquire: (repository, cancel) => sourceOf(repository).acquire(repository, cancel),
    refresh: (repository) => sourceOf(repository).refresh(repository),
    release: (repository) => sourceOf(repository).release(repository),
    ...(sources.some(({ starts }) => starts) && {
      starts: {
        begin: (repository, holder, directories) =>
          sourceOf(repository).starts?.begin(repository, holder, directories),
        end: (repository, holder) => sourceOf(repository).starts?.end(repository, holder),
      },
    }),
    describe: async (repository) => (await sourceOf(repository).describe?.(repository)) ?? null,
    watch(lost) {
      const ends = sources.map((source) => source.watch(lost));
      return () => ends.forEach((end) => end());
    },
  };
}
