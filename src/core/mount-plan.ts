/** From a layer and its chain to the one mount it needs: pure, so that it can be shown before it is made. */

import { ThinlayerError } from './errors.js';
import type { LayerInfo } from './model.js';
import type { DriverOptions } from './options.js';

/** Where a layer is mounted while an archive is unpacked over it, in its directory: nobody's use, so it ends with the daemon. */
export const UNPACKING = 'unpacking';

/** An overlay mount as a value. Paths are absolute. */
export interface OverlayMount {
  readonly type: 'overlay';
  readonly target: string;
  /** Uppermost first. */
  readonly lowers: readonly string[];
  /** Absent: the mount is read-only. */
  readonly writable: { readonly upper: string; readonly work: string } | null;
  /** Flags and overlay options beside the directories: `nodev`, `xino=off`. */
  readonly options: readonly string[];
  /** SELinux label, without the quotes; null for none. */
  readonly context: string | null;
  /** Some lower is in a repository: if its client hangs, so does the mount, and must hold up no mount of ordinary layers. */
  readonly remote: boolean;
}

export interface PlanInput {
  readonly layer: LayerInfo;
  /** `l/NAME` links of the ancestors, and layers in CVMFS, as absolute paths, uppermost first. */
  readonly lowerLinks: readonly string[];
  readonly ownLink: string;
  readonly label: string | null;
  readonly options: DriverOptions;
  readonly remote: boolean;
}

/**
 * Null for a layer with no lower layers: its `diff` is what it shows, nothing is mounted.
 * A committed layer is mounted read-only with its own `diff` uppermost: the kernel refuses (EBUSY), or leaves
 * undefined, a directory that is the upper of one mount and a lower of another (moby#39780).
 */
export function planMount(input: PlanInput): OverlayMount | null {
  const { layer, options } = input;
  if (input.lowerLinks.length === 0) return null;
  // Thin images repeat layers, empty ones above all. The upper place decides what is seen, and overlayfs takes each but once.
  const lowers = [...new Set(input.lowerLinks)];
  checkDepth(layer, lowers.length, options.maxLowers);
  return {
    type: 'overlay',
    target: layer.paths.merged,
    lowers: layer.committed ? [input.ownLink, ...lowers] : lowers,
    writable: layer.committed ? null : { upper: layer.paths.diff, work: layer.paths.work },
    options: options.mountOptions,
    context: input.label ?? layer.record.mountLabel,
    remote: input.remote,
  };
}

/** Docker's text for the same limit is "max depth exceeded"; users search for it. */
export function checkDepth(layer: { record: { id: string } }, lowers: number, max: number): void {
  if (lowers <= max) return;
  throw new ThinlayerError(
    'failed_precondition',
    `max depth exceeded: layer ${layer.record.id} has ${lowers} lower layers, the limit is ${max}; squash the image, or raise thinlayer.max_lowers (up to 500)`,
    { op: 'mount', layer: layer.record.id },
  );
}
