/**
 * The one table from the kernel's error numbers to the codes of ThinlayerError. Node's own errors and the addon's
 * have the same form: `code` ("ENOSPC"), `syscall`, `path`.
 */

import { ThinlayerError, asThinlayerError } from './errors.js';
import type { ErrorCode, ErrorContext } from './errors.js';

/** A failed system call, as node:fs and the addon throw it. */
export interface ErrnoError extends Error {
  readonly code: string;
  readonly syscall?: string;
  readonly path?: string;
}

/** Code, and what a person can do about it; without a hint the kernel's own words are enough. */
const TABLE: Readonly<Record<string, readonly [ErrorCode, string?]>> = {
  EACCES: ['failed_precondition', 'thinlayerd has to run as root; look also for SELinux or AppArmor denials'],
  EAGAIN: ['unavailable', 'another process holds it: end that one, or wait for it'],
  EBUSY: ['failed_precondition', 'something still uses it: look for mounts below it in /proc/*/mountinfo'],
  EDQUOT: ['resource_exhausted', 'the disk quota is used up: remove files or raise the quota'],
  EEXIST: ['already_exists'],
  EFBIG: ['resource_exhausted', 'the file system does not take files of that size'],
  EINVAL: ['invalid_argument'],
  EIO: ['data_loss', "the disk reports errors: see the kernel's log"],
  EILSEQ: ['invalid_argument'],
  EISDIR: ['failed_precondition'],
  ELOOP: ['failed_precondition', 'a symbolic link is where none is allowed, or links form a circle'],
  EMFILE: ['resource_exhausted', 'raise the limit of open files (LimitNOFILE=)'],
  EMLINK: ['resource_exhausted', 'the file system takes no more links of that file'],
  ENAMETOOLONG: ['invalid_argument'],
  ENFILE: ['resource_exhausted', 'raise fs.file-max'],
  ENODEV: ['unimplemented', 'the kernel or the file system has no such feature'],
  ENOENT: ['not_found'],
  ENOMEM: ['resource_exhausted'],
  ENOSPC: ['resource_exhausted', 'free space or inodes on that file system (docker system prune)'],
  ENOSYS: ['unimplemented', 'the kernel has no such system call'],
  ENOTDIR: ['failed_precondition'],
  ENOTEMPTY: ['failed_precondition'],
  EOPNOTSUPP: ['unimplemented', 'the kernel or the file system has no such feature'],
  ENOTSUP: ['unimplemented', 'the kernel or the file system has no such feature'],
  EPERM: [
    'failed_precondition',
    'thinlayerd has to run as root with CAP_SYS_ADMIN; an immutable file needs chattr -i first',
  ],
  EROFS: ['failed_precondition', 'the file system is mounted read-only: remount it read-write'],
  ESTALE: ['unavailable', 'a network file system below the home lost its server'],
  ETIMEDOUT: ['unavailable'],
  EXDEV: ['invalid_argument'],
};

export function isErrno(error: unknown, ...codes: readonly string[]): error is ErrnoError {
  if (!(error instanceof Error) || error instanceof ThinlayerError) return false;
  const code: unknown = Reflect.get(error, 'code');
  if (typeof code !== 'string') return false;
  return codes.length === 0 ? /^E[A-Z0-9]+$/.test(code) : codes.includes(code);
}

/**
 * The failed system call as a ThinlayerError: op, call, path and advice in its message, the error itself as cause.
 * A ThinlayerError stays what it is; what is no errno becomes `internal`, except an abort.
 */
export function fromErrno(error: unknown, context: ErrorContext = {}): ThinlayerError {
  if (!isErrno(error)) return asThinlayerError(error, context);
  const [code, hint] = (Object.hasOwn(TABLE, error.code) ? TABLE[error.code] : undefined) ?? ['internal'];
  const path = context.path ?? error.path;
  const where = context.layer === undefined ? '' : ` layer ${context.layer}`;
  const what = `${context.op ?? 'request'}${where} failed: ${error.message}`;
  const shown = path === undefined || what.includes(path) ? what : `${what}, ${path}`;
  return new ThinlayerError(code, hint === undefined ? shown : `${shown}; ${hint}`, {
    ...context,
    ...(path === undefined ? {} : { path }),
    cause: error,
  });
}
