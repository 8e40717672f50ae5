/** Directories and archives for tests that unpack; deleted at the end of the test. */

import { execFile } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { lstat, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { promisify } from 'node:util';

import { applyArchive } from '../../src/archive/apply.js';
import type { ApplyArchiveOptions } from '../../src/archive/apply.js';
import type { ByteStream } from '../../src/core/service.js';
import { nativeTreeWriters } from '../../src/host/tree-writer.js';
import { chunked, tarOf } from '../fakes/tar-bytes.js';

/** Give it to `test` as `skip`. */
export const cannotUnpack: string | false =
  process.getuid?.() === 0 ? false : 'NEEDS ROOT: nothing about unpacking was tested';

export const run = promisify(execFile);

/** `root`, to be unpacked into, is alone in `base`. */
export async function scratch(t: TestContext): Promise<{ base: string; root: string }> {
  const base = await mkdtemp(join(tmpdir(), 'thinlayer-native-'));
  t.after(() => rm(base, { recursive: true, force: true }));
  const root = join(base, 'root');
  await mkdir(root);
  return { base, root };
}

export function unpack(
  root: string,
  tar: ByteStream,
  options: Partial<ApplyArchiveOptions> = {},
): Promise<void> {
  return applyArchive(nativeTreeWriters(), root, tar, {
    idMaps: { uids: [], gids: [] },
    whiteouts: 'overlay',
    ...options,
  });
}

export function unpackEntries(
  root: string,
  entries: readonly Uint8Array[],
  options: Partial<ApplyArchiveOptions> = {},
): Promise<void> {
  return unpack(root, chunked(tarOf(...entries), 4096), options);
}

export function unpackFile(root: string, file: string): Promise<void> {
  return unpack(root, createReadStream(file));
}

/** One string for all that a tree is: names, types, modes, owners, times, attributes, links, contents. */
export async function fingerprint(root: string): Promise<string> {
  const script = `tar -C "$1" --sort=name --format=pax --pax-option=delete=atime,delete=ctime --xattrs --xattrs-include='*' -cf - . | sha256sum`;
  return (await run('bash', ['-euo', 'pipefail', '-c', script, 'bash', root])).stdout;
}

export async function modeOf(path: string): Promise<string> {
  return (await lstat(path)).mode.toString(8);
}

/** In hexadecimal, null if there is none. Symlinks are not followed. */
export async function xattr(path: string, name: string): Promise<string | null> {
  try {
    const { stdout } = await run(
      'getfattr',
      ['-h', '--absolute-names', '--only-values', '-e', 'hex', '-n', name, path],
      {
        encoding: 'latin1',
      },
    );
    return Buffer.from(stdout, 'latin1').toString('hex');
  } catch {
    return null;
  }
}
