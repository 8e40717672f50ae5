/** The log of the process that serves a repository: its output, kept beside the mountpoints. */

import { closeSync, fstatSync, openSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';

const MAX_TOLD_BYTES = 1000;

export interface ProcessLog {
  readonly path: string;
  readonly fd: number;
  /** What was written before. */
  readonly size: number;
  close(): void;
}

export function logPath(directory: string, repository: string): string {
  return join(directory, `cvmfs-${repository}.log`);
}

export function openLog(directory: string, repository: string): ProcessLog {
  const path = logPath(directory, repository);
  const fd = openSync(path, 'a', 0o640);
  return { path, fd, size: fstatSync(fd).size, close: () => closeSync(fd) };
}

/** What was written since it was opened, in one line: the end of it, if that is long. */
export async function lastWords({ path, size }: ProcessLog): Promise<string> {
  const file = await open(path);
  try {
    const start = Math.max(size, (await file.stat()).size - MAX_TOLD_BYTES);
    const { bytesRead, buffer } = await file.read(Buffer.alloc(MAX_TOLD_BYTES), 0, MAX_TOLD_BYTES, start);
    return buffer
      .toString('utf8', 0, bytesRead)
      .trim()
      .replace(/\s*\n\s*/g, '; ');
  } finally {
    await file.close();
  }
}
