/** From the kernel's error numbers to ours: the only table of its kind. */

import { ThinlayerError, asThinlayerError } from './errors.js';
import type { ErrorCode, ErrorContext } from './errors.js';

interface Meaning {
  readonly code: ErrorCode;
  /** What to do; `{path}` stands for the path of the failed call. */
  readonly advice?: string;
}

const FULL = 'free space or inodes on the file system of {path}, or raise its quota';
const CORRUPT = 'look into the kernel log, and check the file system of {path}';
const GONE = 'see whether the server or device behind {path} answers';

const MEANINGS: Readonly<Record<string, Meaning>> = {
  ENOSPC: { code: 'resource_exhausted', advice: FULL },
  EDQUOT: { code: 'resource_exhausted', advice: FULL },
  EMFILE: { code: 'resource_exhausted', advice: 'raise the limit of open files (LimitNOFILE)' },
  ENFILE: { code: 'resource_exhausted', advice: 'raise fs.file-max' },
  ENOMEM: { code: 'resource_exhausted', advice: 'free memory' },
  EMLINK: { code: 'resource_exhausted' },
  ENOENT: { code: 'not_found' },
  EEXIST: { code: 'already_exists' },
  EBUSY: { code: 'failed_precondition', advice: 'find out who uses {path}, and stop that first' },
  ENOTEMPTY: { code: 'failed_precondition' },
  ENOTDIR: { code: 'failed_precondition' },
  EISDIR: { code: 'failed_precondition' },
  EXDEV: { code: 'failed_precondition' },
  ETXTBSY: { code: 'failed_precondition' },
  EROFS: { code: 'failed_precondition', advice: 'remount the file system of {path} writable' },
  EPERM: {
    code: 'failed_precondition',
    advice: 'run as root, with CAP_SYS_ADMIN; an immutable file needs chattr -i first',
  },
  EACCES: {
    code: 'failed_precondition',
    advice: 'run as root, and look for a denial by SELinux or AppArmor',
  },
  ENODEV: { code: 'failed_precondition', advice: 'load the kernel module that is missing' },
  EINVAL: { code: 'invalid_argument' },
  E2BIG: { code: 'invalid_argument' },
  ENAMETOOLONG: { code: 'invalid_argument' },
  ELOOP: { code: 'invalid_argument' },
  EFBIG: { code: 'resource_exhausted', advice: 'the file system does not take files of that size' },
  EILSEQ: { code: 'invalid_argument' },
  ERANGE: { code: 'invalid_argument' },
  ENOSYS: { code: 'unimplemented' },
  ENOTSUP: { code: 'unimplemented' },
  EOPNOTSUPP: { code: 'unimplemented' },
  EIO: { code: 'data_loss', advice: CORRUPT },
  EUCLEAN: { code: 'data_loss', advice: CORRUPT },
  EBADMSG: { code: 'data_loss', advice: CORRUPT },
  ENOTCONN: { code: 'unavailable', advice: GONE },
  ECONNABORTED: { code: 'unavailable', advice: GONE },
  ESTALE: { code: 'unavailable', advice: GONE },
  ETIMEDOUT: { code: 'unavailable', advice: GONE },
  EHOSTDOWN: { code: 'unavailable', advice: GONE },
  ENXIO: { code: 'unavailable', advice: GONE },
  EAGAIN: { code: 'unavailable' },
  EINTR: { code: 'aborted' },
  ECANCELED: { code: 'aborted' },
};

/** What the addon and node:fs reject with. */
export interface SystemError extends Error {
  readonly code: string;
  readonly syscall?: string;
  readonly path?: string;
  /** Addon only: what the kernel, or we, had to say beside the number. */
  readonly detail?: string;
}

/** With `codes`: one of these. */
export function isErrno(error: unknown, ...codes: readonly string[]): error is SystemError {
  if (!(error instanceof Error) || error instanceof ThinlayerError || !('code' in error)) return false;
  if (typeof error.code !== 'string') return false;
  return codes.length === 0 ? /^E[A-Z0-9]+$/.test(error.code) : codes.includes(error.code);
}

/** No room is left, on the disk or in the quota. */
export function isFull(error: unknown): boolean {
  return isErrno(error, 'ENOSPC', 'EDQUOT');
}

export interface ErrnoContext extends ErrorContext {
  readonly op: string;
}

/**
 * A failed system call as a ThinlayerError: `mount of layer X failed: fsconfig …: EBUSY (…); find out …`.
 * One that is a ThinlayerError already passes unchanged; anything else is as `asThinlayerError` has it.
 * An errno that is not in the table is `internal`.
 */
export function fromErrno(error: unknown, context: ErrnoContext): ThinlayerError {
  if (error instanceof ThinlayerError) return error;
  if (!isErrno(error)) return asThinlayerError(error, context);
  const subject = context.layer === undefined ? '' : ` of layer ${context.layer}`;
  const message = `${context.op}${subject} failed: ${error.message}`;
  const { path = error.path } = context;
  const { code = 'internal', advice } = MEANINGS[error.code] ?? {};
  // A function: a path may hold `$&`.
  const todo = advice === undefined ? '' : `; ${advice.replace('{path}', () => path || 'this host')}`;
  return new ThinlayerError(code, message + todo, {
    ...context,
    ...(path === undefined ? {} : { path }),
    cause: error,
  });
}
