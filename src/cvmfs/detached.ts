import { ThinlayerError } from '../core/errors.js';

/**
 * A client whose mount ended lazily, as ours do, or by an administrator's hand, and is held open from elsewhere, by a container
 * say: until that ends, so does neither the client nor its locks.
 */
export function detached(
  client: string,
  repository: string,
  mountpoint: string,
  pid: number | undefined,
): ThinlayerError {
  return new ThinlayerError(
    'failed_precondition',
    `${client} (process ${pid ?? 'unknown'}) still serves the repository ${repository} to somebody, though nothing is mounted on ${mountpoint} any more (in another mount name space?): end who reads from it, or that process`,
    { op: 'mount', path: mountpoint },
  );
}
