/** Questions to this kernel's overlayfs, each answered by a real mount in a scratch directory: versions lie, as fixes are ported back. */

import { chmod, mkdir, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { isErrno } from '../core/errno.js';
import { joined } from './joined.js';
import { fixedOptions } from './mounter.js';
import type { HostAddon } from './addon.js';
import type { OverlayTraits } from './mounter.js';

/** Each before those in it: `recursive` of Node's mkdir makes an ENOENT of a disk that is full. */
const DIRECTORIES = [
  ...['', 'lower1', 'lower1/dir', 'lower1/moved'],
  ...['lower2', 'lower2/dir', 'upper', 'work'],
];

export class OverlayScratch {
  readonly #addon: HostAddon;
  readonly #home: string;
  readonly #path: string;

  /** The holder of the home's lock is the only user of `path`, a directory to be made. */
  constructor(addon: HostAddon, home: string, path = join(home, '.probe')) {
    this.#addon = addon;
    this.#home = home;
    this.#path = path;
  }

  /** Works on fresh directories with two lowers mounted; nothing is left, whatever happens, also from a killed predecessor. */
  async with<T>(traits: OverlayTraits, use: (at: (path: string) => string) => Promise<T>): Promise<T> {
    await this.#clear();
    try {
      await this.#fill(traits);
      await this.#mount(traits);
      return await use((path) => join(this.#path, path));
    } finally {
      await this.#clear();
    }
  }

  async #clear(): Promise<void> {
    await this.#addon.unmount(join(this.#path, 'merged'));
    await rm(this.#path, { recursive: true, force: true });
  }

  async #fill(traits: OverlayTraits): Promise<void> {
    for (const name of DIRECTORIES) await mkdir(join(this.#path, name));
    await writeFile(join(this.#path, 'lower1/file'), 'lower');
    await this.#addon.setXattr(join(this.#path, 'lower2/dir'), attribute(traits, 'opaque'), 'y');
  }

  async #mount(traits: OverlayTraits): Promise<void> {
    const at = (path: string) => join(this.#path, path);
    await this.#addon.mountOverlay({
      target: at('merged'),
      lowers: joined([at('lower2'), at('lower1')]),
      upper: at('upper'),
      work: at('work'),
      options: joined(fixedOptions(traits)),
      context: null,
      home: this.#home,
      api: traits.api,
      uid: 0,
      gid: 0,
      remote: false,
    });
    await readFile(at('merged/file'));
  }
}

function attribute({ userNamespace }: OverlayTraits, name: string): string {
  return `${userNamespace ? 'user' : 'trusted'}.overlay.${name}`;
}

/** Why a layer's own directory would not tell all its changes; null if it does. */
export function nativeDiffFault(
  addon: HostAddon,
  scratch: OverlayScratch,
  traits: OverlayTraits,
): Promise<string | null> {
  return scratch.with(traits, async (at) => {
    await writeFile(at('merged/dir/new'), '');
    if ((await addon.getXattr(at('upper/dir'), attribute(traits, 'opaque'))) === 'y') {
      return 'the kernel marks directories opaque that are copied up (a fault mended in Linux 4.8)';
    }
    await rename(at('merged/moved'), at('merged/renamed')).catch(ignoreExdev);
    const redirect = await addon
      .getXattr(at('upper/renamed'), attribute(traits, 'redirect'))
      .catch(ignoreEnoent);
    if (redirect !== null) return 'renamed directories become redirects (redirect_dir)';
    await chmod(at('merged/file'), 0o600);
    if ((await addon.getXattr(at('upper/file'), attribute(traits, 'metacopy'))) === null) return null;
    return 'files are copied up without their data (metacopy)';
  });
}

/** Without redirects the kernel refuses to rename a directory of a lower layer: that is right. */
function ignoreExdev(error: unknown): void {
  if (!isErrno(error) || error.code !== 'EXDEV') throw error;
}

function ignoreEnoent(error: unknown): null {
  if (isErrno(error) && error.code === 'ENOENT') return null;
  throw error;
}

/** Empty where overlayfs is not loaded, or has none. */
export async function overlayParameters(): Promise<ReadonlySet<string>> {
  const names = await readdir('/sys/module/overlay/parameters').catch(ignoreEnoent);
  return new Set(names ?? []);
}
