/** What is told of a repository: the state of its actor, and what its client knows. */

import { asThinlayerError } from '../src/core/errors.js';
import type { RepositoryReport, RepositorySource } from '../src/core/repository.js';
import type { RepositoryState } from './repositories.js';

/** Never rejects: a client that does not answer is the cause that is told. */
export async function reportOn(source: RepositorySource, state: RepositoryState): Promise<RepositoryReport> {
  const { repository, mount, holders, cause } = state;
  const report = { repository, state: state.state, holders, cause, facts: null };
  if (mount === null) return report;
  try {
    return { ...report, facts: (await source.describe?.(repository)) ?? null };
  } catch (error) {
    return { ...report, cause: cause ?? asThinlayerError(error).message };
  }
}
