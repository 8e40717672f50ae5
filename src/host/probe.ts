/** Finds out what a home and this kernel can do, before the first layer depends on it. */

import { createHash } from 'node:crypto';
import { mkdir, readFile, statfs } from 'node:fs/promises';

import { ThinlayerError } from '../core/errors.js';
import { fromErrno, isErrno, isFull } from '../core/errno.js';
import { fileSystemName } from './file-systems.js';
import { OverlayScratch, nativeDiffFault, overlayParameters } from './overlay-probe.js';
import { probeQuota } from './quota.js';
import type { DriverOptions } from '../core/options.js';
import type { HostFacts } from '../core/ports.js';
import type { HostAddon, MountApi } from './addon.js';
import type { OverlayTraits } from './mounter.js';

/** Memory, and nobody's but root's. */
const ELSEWHERE = '/run/thinlayer';

export interface HomeProbe extends HostFacts {
  /** For `createMounter`. */
  readonly overlay: OverlayTraits;
  /** For `createQuota`. */
  readonly quotaRefusal: string | null;
  /** For the log: what works, but not as it should. */
  readonly warnings: readonly string[];
}

/**
 * The caller holds the home's lock. `failed_precondition` says what the home or the kernel lacks; with
 * `overrideKernelCheck` that becomes a warning.
 */
export async function probeHome(
  addon: HostAddon,
  home: string,
  options: Pick<DriverOptions, 'overrideKernelCheck'>,
  elsewhere = ELSEWHERE,
): Promise<HomeProbe> {
  try {
    return await probe(addon, home, options.overrideKernelCheck, elsewhere);
  } catch (error) {
    throw fromErrno(error, { op: 'probe', path: home });
  }
}

async function probe(
  addon: HostAddon,
  home: string,
  override: boolean,
  elsewhere: string,
): Promise<HomeProbe> {
  const backing = { home, fileSystem: fileSystemName((await statfs(home)).type) };
  const userNamespace = isUserNamespace(await readFile('/proc/self/uid_map', 'utf8'));
  const warnings: string[] = [];
  const refuse = (error: ThinlayerError) => {
    if (!override) throw error;
    warnings.push(error.message);
  };

  const { mounts, overlay, fault, note } = await probeOverlay(addon, home, userNamespace, elsewhere);
  if (note !== null) warnings.push(note);
  if ('error' in mounts) refuse(mountFailure(mounts.error, backing));
  else if (!mounts.dType) refuse(noDType(backing));
  if (fault !== null)
    warnings.push(`changes of layers are found by comparing merged trees, which is slow: ${fault}`);

  const quotaRefusal = userNamespace ? 'not in a user namespace' : await probeQuota(addon, home);
  return {
    backingFileSystem: backing.fileSystem,
    supportsDType: 'error' in mounts ? false : mounts.dType,
    nativeDiff: fault === null,
    mountApi: overlay.api,
    projectQuota: quotaRefusal === null,
    overlay,
    quotaRefusal,
    warnings,
  };
}

/** The first name space maps all ids to themselves. */
export function isUserNamespace(uidMap: string): boolean {
  return !/^\s*0\s+0\s+4294967295\s*$/.test(uidMap);
}

interface OverlayFacts {
  readonly mounts: Mounts;
  readonly overlay: OverlayTraits;
  /** See `nativeDiffFault`. */
  readonly fault: string | null;
  /** Where this is not known of the home itself. */
  readonly note: string | null;
}

/**
 * On a full disk there is no room to try things out, but layers have to be removed there. So the kernel is asked on
 * another file system; that the home's own is fit for overlays was found out when its layers were made.
 */
async function probeOverlay(
  addon: HostAddon,
  home: string,
  userNamespace: boolean,
  elsewhere: string,
): Promise<OverlayFacts> {
  try {
    return await probeIn(addon, new OverlayScratch(addon, home), userNamespace);
  } catch (error) {
    if (!isFull(error)) throw error;
    const facts = await probeIn(addon, await scratchElsewhere(addon, home, elsewhere), userNamespace);
    return { ...facts, note: `${home} was not probed, as it is full: free space on it` };
  }
}

/** Named after the home, whose lock then holds for this too. */
async function scratchElsewhere(addon: HostAddon, home: string, directory: string): Promise<OverlayScratch> {
  await mkdir(directory, { recursive: true });
  const name = createHash('sha256').update(home).digest('hex').slice(0, 32);
  return new OverlayScratch(addon, directory, `${directory}/probe-${name}`);
}

async function probeIn(
  addon: HostAddon,
  scratch: OverlayScratch,
  userNamespace: boolean,
): Promise<OverlayFacts> {
  const mounts = await probeMounts(addon, scratch, userNamespace);
  const api = 'error' in mounts ? 'mount' : mounts.api;
  // After the first mount: that may have loaded the module.
  const overlay = { api, userNamespace, parameters: await overlayParameters() };
  const fault = 'error' in mounts ? 'mounts fail' : await nativeDiffFault(addon, scratch, overlay);
  return { mounts, overlay, fault, note: null };
}

type Mounts = { readonly api: MountApi; readonly dType: boolean } | { readonly error: unknown };

/** The newer interface if it works, for whatever reason it does not: an old kernel, a seccomp filter. Rejects on a full disk. */
async function probeMounts(
  addon: HostAddon,
  scratch: OverlayScratch,
  userNamespace: boolean,
): Promise<Mounts> {
  let failure: unknown;
  for (const api of ['fsopen', 'mount'] as const) {
    try {
      const traits = { api, userNamespace, parameters: new Set<string>() };
      const dType = await scratch.with(traits, (at) => addon.supportsDType(at('lower1')));
      return { api, dType };
    } catch (error) {
      if (isFull(error)) throw error;
      failure = error;
    }
  }
  return { error: failure };
}

interface Backing {
  readonly home: string;
  readonly fileSystem: string;
}

const UNFIT = 'put the directory on ext4, or on xfs made with ftype=1';

const ADVICE: Readonly<Record<string, string>> = {
  ENODEV: 'this kernel has no overlayfs: load it with `modprobe overlay`',
  EPERM: 'run as root with CAP_SYS_ADMIN; in a container, also look at its seccomp and AppArmor profiles',
  EINVAL: `this file system cannot hold the upper layer of an overlay: ${UNFIT}`,
  EOPNOTSUPP: `this file system has not the attributes that overlayfs needs: ${UNFIT}`,
};

function mountFailure(error: unknown, { home, fileSystem }: Backing): ThinlayerError {
  const advice = isErrno(error) ? ADVICE[error.code] : undefined;
  const known = fromErrno(error, { op: 'overlay mount', path: home });
  return new ThinlayerError(
    advice === undefined ? known.code : 'failed_precondition',
    `overlay mounts do not work in ${home} (on ${fileSystem}): ${advice === undefined ? known.message : `${String(error)}; ${advice}`}`,
    { op: 'probe', path: home, cause: error },
  );
}

function noDType({ home, fileSystem }: Backing): ThinlayerError {
  return new ThinlayerError(
    'failed_precondition',
    `the file system of ${home} (${fileSystem}) does not tell the types of directory entries (d_type), which overlayfs needs: ${UNFIT}`,
    { op: 'probe', path: home },
  );
}
