/** The Mounter over the addon: adds the options that every overlay of ours has, and turns errno into our errors. */

import { ThinlayerError } from '../core/errors.js';
import { fromErrno, isErrno } from '../core/errno.js';
import type { OverlayMount } from '../core/mount-plan.js';
import type { Mounter } from '../core/ports.js';
import type { MountApi, MountFunctions } from './addon.js';
import { usedByContainers } from './container-roots.js';
import { joined } from './joined.js';

/** What this kernel's overlayfs is like (see probe.ts). */
export interface OverlayTraits {
  readonly api: MountApi;
  /** Names in /sys/module/overlay/parameters. */
  readonly parameters: ReadonlySet<string>;
  readonly userNamespace: boolean;
}

export interface MounterConfig extends OverlayTraits {
  readonly home: string;
  /** Host ids of the container's root: owner of `merged` and `work/work`. */
  readonly uid: number;
  readonly gid: number;
}

/**
 * `index=off` always: its default may change at run time, and an index refuses layers that were copied or whose
 * upper is still in use (moby#37993). Without redirects and metacopies a layer's own directory tells all its changes;
 * where the kernel knows neither parameter, it does neither.
 * In a user namespace `userxattr` rules both out by itself, and the kernel refuses it beside `redirect_dir=off`, which
 * by default means "follow".
 */
export function fixedOptions(traits: OverlayTraits): string[] {
  const names = traits.userNamespace ? ['index'] : ['index', 'redirect_dir', 'metacopy'];
  const off = names.filter((name) => traits.parameters.has(name)).map((name) => `${name}=off`);
  return traits.userNamespace ? [...off, 'userxattr'] : off;
}

export function createMounter(addon: MountFunctions, config: MounterConfig): Mounter {
  const { api, home, uid, gid } = config;
  const fixed = joined(fixedOptions(config));
  return {
    async mount(mount) {
      checkContext(mount);
      const { target, context, writable, remote } = mount;
      const lowers = joined(mount.lowers);
      const options = fixed + joined(mount.options);
      const directories = { upper: writable?.upper ?? null, work: writable?.work ?? null };
      try {
        await addon.mountOverlay({
          target,
          lowers,
          ...directories,
          options,
          context,
          home,
          api,
          uid,
          gid,
          remote,
        });
      } catch (error) {
        throw mountError(error, mount);
      }
    },
    async locate(root, paths) {
      try {
        return await addon.locateDirectory(root, paths);
      } catch (error) {
        throw fromErrno(error, { op: 'look up', path: root });
      }
    },
    usedByContainers: (targets) => usedByContainers(targets),
    async unmount(target) {
      try {
        await addon.unmount(target);
      } catch (error) {
        throw fromErrno(error, { op: 'unmount', path: target });
      }
    },
  };
}

/** A label stands in quotes among the options of mount(2): it must not end them. */
function checkContext({ context, target }: OverlayMount): void {
  if (context === null || /^[^"\\\p{Cc}]{1,255}$/u.test(context)) return;
  throw new ThinlayerError('invalid_argument', `not an SELinux label: ${JSON.stringify(context)}`, {
    op: 'mount',
    path: target,
  });
}

function mountError(error: unknown, { target, context }: OverlayMount): ThinlayerError {
  const failure = fromErrno(error, { op: 'mount', path: target });
  if (isErrno(error, 'ENOENT')) {
    return new ThinlayerError(
      'data_loss',
      `${failure.message}; a directory of this layer or of one below it is gone: bring it back, or remove the image and pull it again`,
      { op: 'mount', path: target, cause: error },
    );
  }
  if (context === null || !isErrno(error) || error.code !== 'EINVAL') return failure;
  return new ThinlayerError(
    'failed_precondition',
    `${failure.message}; the mount has the SELinux label ${context}: if this kernel has no SELinux, start dockerd without --selinux-enabled`,
    { op: 'mount', path: target, cause: error },
  );
}
