/** What the supervisor tells, in the words of the log. */

import type { Logger } from 'pino';

import type { SupervisorOptions } from '../actors/supervisor.js';
import { asThinlayerError } from './core/errors.js';

export function supervisionLog(log: Logger): Omit<SupervisorOptions, 'openEngine' | 'now' | 'version'> {
  return {
    died: (layer, cause) => log.error({ layer, err: cause }, `the actor of layer ${layer} died`),
    repositoryDied: (repository, cause) =>
      log.error({ repository, err: cause }, `the actor of the repository ${repository} died`),
    repositoryLeft: (cause) => log.warn({ err: cause }, `left mounted: ${asThinlayerError(cause).message}`),
    repositoryLost: (repository, { message }) => log.error({ repository }, message),
    repositoryLate: ({ message }) => log.warn(message),
    usesUnkept: (layer, cause) =>
      log.warn(
        { layer, err: cause },
        `if thinlayerd ends before dockerd lets go of layer ${layer}, it may be unmounted too early: ${asThinlayerError(cause).message}`,
      ),
    leftoverRemoved: (layer) =>
      log.info(
        { layer },
        `layer ${layer}, which Docker forgot before anything was in it, is removed with what it stood on`,
      ),
    repositoryUnprepared: (cause) =>
      log.warn(
        { err: cause },
        `not mounted ahead of the first container: ${asThinlayerError(cause).message}`,
      ),
    closingLate: (calls) =>
      log.warn(
        `what was served cannot be closed before ${calls} calls end that run still, and Init, or the end of thinlayerd, waits for it; if a client of a repository hangs, the log names it before this`,
      ),
  };
}
