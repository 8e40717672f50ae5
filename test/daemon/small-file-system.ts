/**
 * A small file system in a daemon's jail, to be filled to the last block or inode. Behind it is a sparse file on a
 * loop device that the kernel frees with the last mount: all of it ends with the jail, however that ends.
 */

import { existsSync, writeFileSync } from 'node:fs';
import { mkdir, readFile, rm, statfs } from 'node:fs/promises';
import { basename, join } from 'node:path';

import { isErrno } from '../../src/core/errno.js';
import type { Jail } from '../system/jail.js';
import { check, run, waitFor } from '../system/process.js';

export interface FileSystemKind {
  readonly name: string;
  readonly type: string;
  /** Arguments of mkfs; null for one without a device. */
  readonly mkfs: readonly string[] | null;
  readonly megabytes: number;
  /** What is used up when it is full. */
  readonly runsOutOf: 'blocks' | 'inodes';
}

/** Each as small as its mkfs makes it. */
export const FILE_SYSTEM_KINDS: readonly FileSystemKind[] = [
  { name: 'ext4', type: 'ext4', mkfs: ['-q', '-b', '4096'], megabytes: 16, runsOutOf: 'blocks' },
  {
    name: 'ext4 without inodes',
    type: 'ext4',
    mkfs: ['-q', '-N', '256'],
    megabytes: 16,
    runsOutOf: 'inodes',
  },
  { name: 'xfs', type: 'xfs', mkfs: ['-q'], megabytes: 300, runsOutOf: 'blocks' },
  { name: 'btrfs', type: 'btrfs', mkfs: ['-q', '--mixed'], megabytes: 32, runsOutOf: 'blocks' },
  { name: 'tmpfs', type: 'tmpfs', mkfs: null, megabytes: 8, runsOutOf: 'blocks' },
];

const PATH = ['/usr/sbin', '/sbin', '/usr/bin', '/bin'];
const BLOCK = 4096;
const LEFT_FOR_PIECES = 1 << 20;

/** Why a test on it has to be skipped here; false if it need not. */
export async function missingFor(kind: FileSystemKind): Promise<string | false> {
  if (kind.mkfs === null) return false;
  const mkfs = `mkfs.${kind.type}`;
  if (!PATH.some((directory) => existsSync(join(directory, mkfs)))) return `NO ${mkfs} HERE: not tested`;
  if (!existsSync('/dev/loop-control')) return 'NO LOOP DEVICES HERE: not tested';
  await run('modprobe', ['-q', kind.type]).catch(() => undefined);
  const known = await readFile('/proc/filesystems', 'utf8');
  return new RegExp(`\\t${kind.type}$`, 'm').test(known)
    ? false
    : `NO ${kind.type} IN THIS KERNEL: not tested`;
}

export class SmallFileSystem {
  readonly kind: FileSystemKind;
  private readonly image: string;
  private readonly filler: string;
  /** Files of one block each. */
  private readonly pieces: string[] = [];
  private count = 0;

  private constructor(kind: FileSystemKind, image: string, filler: string) {
    this.kind = kind;
    this.image = image;
    this.filler = filler;
  }

  /** Mounted at `path` inside the jail; the image lies in its /run, which is memory: the tests sync a lot. */
  static async mount(jail: Jail, kind: FileSystemKind, path: string): Promise<SmallFileSystem> {
    const image = join('/run', `${basename(jail.directory)}.image`);
    await mkdir(path);
    if (kind.mkfs === null) {
      const options = `size=${kind.megabytes}M,nr_inodes=2000`;
      await jail.run(['mount', '-t', kind.type, '-o', options, kind.type, path]);
    } else {
      await jail.run(['truncate', '-s', `${kind.megabytes}M`, image]);
      await jail.run([`mkfs.${kind.type}`, ...kind.mkfs, image]);
      await jail.run(['mount', '-t', kind.type, '-o', 'loop', image, path]);
    }
    return new SmallFileSystem(kind, image, `/proc/${jail.init}/root${join(path, 'filler')}`);
  }

  /** Until nothing more goes in; then `room` files of one block each are taken out again. */
  async fill(room = 0): Promise<void> {
    await mkdir(this.filler, { recursive: true });
    if (this.kind.runsOutOf === 'blocks') await this.fillCoarsely();
    this.fillUp();
    // What was deleted before may be free only when the file system has written that down.
    await check('sync', ['-f', this.filler]);
    this.fillUp();
    const last = this.pieces.splice(-room, room);
    await Promise.all(last.map((path) => rm(path)));
  }

  /** Everything that filled it is deleted. */
  async free(): Promise<void> {
    await rm(this.filler, { recursive: true, force: true });
    this.pieces.length = 0;
  }

  /** More bytes than go in when it is full: contents alone do not fill one without inodes. */
  get large(): number {
    return 2 * LEFT_FOR_PIECES;
  }

  /** To be called when its jail is closed: the kernel ends a mount namespace some time after its last process. */
  async loopDeviceGone(): Promise<void> {
    await waitFor(`the end of the loop device of ${this.image}`, async () => {
      const files = await check('losetup', ['--list', '--noheadings', '--output', 'BACK-FILE']);
      return !files.includes(this.image) || undefined;
    });
  }

  /** All but the last megabyte, in one file. */
  private async fillCoarsely(): Promise<void> {
    const { bavail, bsize } = await statfs(this.filler);
    let bytes = bavail * bsize - LEFT_FOR_PIECES;
    while (bytes > LEFT_FOR_PIECES) {
      const file = join(this.filler, `bulk${this.count++}`);
      const { code } = await run('fallocate', ['-l', String(bytes), file]);
      // btrfs does not know beforehand what it will need for itself.
      if (code !== 0) await rm(file, { force: true });
      bytes = Math.floor(bytes / 2);
    }
  }

  /** Blocks first, then the inodes and the entries of directories that go without. */
  private fillUp(): void {
    if (this.kind.runsOutOf === 'blocks') while (this.add(Buffer.alloc(BLOCK, 'x'))) continue;
    while (this.add(Buffer.alloc(0))) continue;
  }

  private add(contents: Buffer): boolean {
    const path = join(this.filler, `piece${this.count++}`);
    try {
      writeFileSync(path, contents);
      if (contents.length > 0 || this.kind.runsOutOf === 'inodes') this.pieces.push(path);
      return true;
    } catch (error) {
      if (isErrno(error, 'ENOSPC')) return false;
      throw error;
    }
  }
}
