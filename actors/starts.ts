/** Containers that start on layers in CVMFS: their repositories are told, see `Starts` in src/core/repository.ts. */

import type { LowerLayer } from '../src/core/model.js';
import type { Engine } from '../src/core/ports.js';
import { repositoriesOf } from './lowers.js';
import type { Place } from './lowers.js';

export function beginStart(engine: Engine, holder: string, places: readonly Place[]): void {
  const { starts } = engine.repositories;
  if (!starts) return;
  for (const repository of repositoriesOf(places.map(({ lower }) => lower))) {
    const inside = places.filter(({ lower }) => typeof lower === 'object' && lower.repository === repository);
    starts.begin(
      repository,
      holder,
      inside.map(({ path }) => path),
    );
  }
}

export function endStart(engine: Engine, holder: string, lowers: readonly LowerLayer[]): void {
  for (const repository of repositoriesOf(lowers)) engine.repositories.starts?.end(repository, holder);
}
