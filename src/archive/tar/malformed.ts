import { ThinlayerError } from '../../core/errors.js';

/** What is wrong with an archive, told to the one who sent it. */
export function malformed(what: string, cause?: unknown): ThinlayerError {
  return new ThinlayerError('invalid_argument', `the archive cannot be read: ${what}`, {
    op: 'apply',
    cause,
  });
}

/** Errors of the parser; ours pass. */
export function asMalformed(error: unknown): ThinlayerError {
  if (error instanceof ThinlayerError) return error;
  return malformed(error instanceof Error ? error.message : String(error), error);
}
