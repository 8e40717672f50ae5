/**
 * The one error class of thinlayer. Every failure that leaves a module is one of these: a code from a closed
 * list, on which callers decide, and a message for a person, which says what failed, on what, and what to do.
 */

/** The classes a caller can act on: containerd's errdefs where they meet gRPC's status codes. */
export type ErrorCode =
  | 'invalid_argument'
  | 'not_found'
  | 'already_exists'
  | 'failed_precondition'
  | 'unavailable'
  | 'resource_exhausted'
  | 'aborted'
  | 'unimplemented'
  | 'data_loss'
  | 'internal';

export interface ErrorContext {
  /** What was being done, in the words of the caller: `create`, `attach`, `mount`. */
  readonly op?: string;
  readonly layer?: string;
  readonly path?: string;
  readonly cause?: unknown;
}

export class ThinlayerError extends Error {
  override readonly name = 'ThinlayerError';
  readonly code: ErrorCode;
  readonly op: string | undefined;
  readonly layer: string | undefined;
  readonly path: string | undefined;

  constructor(code: ErrorCode, message: string, context: ErrorContext = {}) {
    super(message, context.cause === undefined ? undefined : { cause: context.cause });
    this.code = code;
    this.op = context.op;
    this.layer = context.layer;
    this.path = context.path;
  }
}

/** The same failure as a ThinlayerError: a foreign one becomes `internal`, its message kept. */
export function asThinlayerError(error: unknown, context: ErrorContext = {}): ThinlayerError {
  if (error instanceof ThinlayerError) return error;
  if (error instanceof Error && error.name === 'AbortError') {
    return new ThinlayerError('aborted', `${context.op ?? 'request'} was cancelled by its caller`, {
      ...context,
      cause: error,
    });
  }
  const message = error instanceof Error ? error.message : String(error);
  return new ThinlayerError('internal', message, { ...context, cause: error });
}

/** Undoes what a failed operation left, and answers the failure to throw: with a word of it if the undoing failed too. */
export async function undone(failure: unknown, undo: () => Promise<void>): Promise<ThinlayerError> {
  const error = asThinlayerError(failure);
  try {
    await undo();
    return error;
  } catch (left) {
    return new ThinlayerError(
      error.code,
      `${error.message}; undoing it failed too: ${asThinlayerError(left).message}`,
      { ...(error.op && { op: error.op }), ...(error.layer && { layer: error.layer }), cause: error },
    );
  }
}
