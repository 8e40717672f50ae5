/** A home with layers for tests that mount; everything is unmounted and deleted at the end of the test. */

import { mkdir, mkdtemp, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

import { loadAddon } from '../../src/host/addon.js';
import { parseMountinfo } from '../../src/host/mountinfo.js';
import { createMounter } from '../../src/host/mounter.js';
import type { MountApi } from '../../src/host/addon.js';
import type { MountEntry } from '../../src/host/mountinfo.js';
import type { OverlayMount } from '../../src/core/mount-plan.js';
import type { Mounter } from '../../src/core/ports.js';

/** Give it to `test` as `skip`: false if mounts can be made, else why not. */
export const cannotMount: string | false =
  process.getuid?.() === 0 ? false : 'NEEDS ROOT: nothing about mounts was tested';

export class ScratchHome {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  /** `name` may have several parts: `a/b`. */
  static async make(t: TestContext, name = 'home'): Promise<ScratchHome> {
    const base = await realpath(await mkdtemp(join(tmpdir(), 'thinlayer-native-')));
    t.after(async () => {
      for (const mount of (await mountsBelow(base)).reverse()) await loadAddon().unmount(mount.mountPoint);
      await rm(base, { recursive: true, force: true });
    });
    const home = new ScratchHome(join(base, name));
    await mkdir(join(home.path, 'l'), { recursive: true });
    return home;
  }

  /** A layer with one file of its own name, and its short link, which is answered. */
  async lower(id: string): Promise<string> {
    await mkdir(join(this.path, id, 'diff'), { recursive: true });
    await writeFile(join(this.path, id, 'diff', id), id);
    const link = join(this.path, 'l', id.toUpperCase().padStart(26, 'A'));
    await symlink(`../${id}/diff`, link);
    return link;
  }

  lowers(count: number): Promise<string[]> {
    return Promise.all(Array.from({ length: count }, (_, i) => this.lower(`lower${i}`)));
  }

  /** The mount of a container layer over `lowers`. */
  async plan(lowers: readonly string[], change: Partial<OverlayMount> = {}): Promise<OverlayMount> {
    const [upper, work] = [join(this.path, 'top/diff'), join(this.path, 'top/work')];
    await Promise.all([mkdir(upper, { recursive: true }), mkdir(work, { recursive: true })]);
    const target = join(this.path, 'top/merged');
    return {
      type: 'overlay',
      target,
      lowers,
      writable: { upper, work },
      options: [],
      context: null,
      remote: false,
      ...change,
    };
  }

  mounter(api: MountApi, owner = { uid: 0, gid: 0 }): Mounter {
    const parameters = new Set(['index', 'redirect_dir', 'metacopy']);
    return createMounter(loadAddon(), { api, home: this.path, parameters, userNamespace: false, ...owner });
  }

  mounts(): Promise<MountEntry[]> {
    return mountsBelow(this.path);
  }
}

export async function mountsBelow(directory: string): Promise<MountEntry[]> {
  const entries = parseMountinfo(await readFile('/proc/self/mountinfo', 'utf8'));
  return entries.filter((entry) => entry.mountPoint.startsWith(`${directory}/`));
}
