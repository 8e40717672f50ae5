/** Containers that start on layers in CVMFS: their repositories are told, see `Starts` in src/core/repository.ts. */

import type { LowerLayer } from '../src/core/model.js';
import type { Engine } from '../src/core/ports.js';
import { repositoriesOf } from './lowers.js';

/** `paths`: where the lowers were found, in their order. */
export function beginStart(
  engine: Engine,
  holder: string,
  lowers: readonly LowerLayer[],
  paths: readonly string[],
): void {
  const { starts } = engine.repositories;
  if (!starts) return;
  for (const repository of repositoriesOf(lowers)) {
    const isIn = (lower: LowerLayer | undefined) =>
      typeof lower === 'object' && lower.repository === repository;
    starts.begin(
      repository,
      holder,
      paths.filter((_, index) => isIn(lowers[index])),
    );
  }
}

export function endStart(engine: Engine, holder: string, lowers: readonly LowerLayer[]): void {
  for (const repository of repositoriesOf(lowers)) engine.repositories.starts?.end(repository, holder);
}
