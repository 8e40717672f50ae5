/** An opened home without a disk or a kernel: every port works in memory, records its calls, and can be overridden. */

import { ThinlayerError } from '../../src/core/errors.js';
import type { LayerId } from '../../src/core/model.js';
import type { OverlayMount } from '../../src/core/mount-plan.js';
import { DEFAULT_OPTIONS } from '../../src/core/options.js';
import type { DriverOptions } from '../../src/core/options.js';
import type { Archive, Engine, HostFacts, LayerStore, Masks, Mounter } from '../../src/core/ports.js';
import type { HomeConfig } from '../../src/core/service.js';
import { fakeArchive } from './archive.js';
import { fakeLayerStore } from './layer-store.js';
import { fakeRepositorySource } from './repository-source.js';
import type { FakeLayerStore } from './layer-store.js';

export const HOME = '/home';

export interface EngineOverrides {
  /** Methods of the store for this test. */
  readonly store?: Partial<LayerStore>;
  readonly mounter?: Partial<Mounter>;
  readonly archive?: Partial<Archive>;
  readonly masks?: Partial<Masks>;
  readonly options?: Partial<DriverOptions>;
  readonly facts?: Partial<HostFacts>;
  /** Layers that the kernel has mounted at the opening, once each unless `uses` says so. */
  readonly mounted?: readonly string[];
  readonly uses?: Readonly<Record<string, number>>;
  readonly mountedRepositories?: readonly string[];
}

export interface FakeEngine extends Engine {
  readonly store: FakeLayerStore;
  /** Calls of mounter, archive and quota in order, like `mount /home/a/merged`. */
  readonly calls: string[];
  /** Targets of the mounts that stand. */
  readonly mounts: ReadonlySet<string>;
}

export function fakeEngine(overrides: EngineOverrides = {}): FakeEngine {
  const calls: string[] = [];
  const mounted = overrides.mounted ?? [];
  const mounts = new Set(mounted.map((id) => `${HOME}/${id}/merged`));
  return {
    calls,
    mounts,
    config: fakeConfig(overrides.options),
    facts: { ...FACTS, ...overrides.facts },
    store: fakeLayerStore(overrides.store, HOME),
    mounter: recorded(calls, { ...fakeMounter(mounts), ...overrides.mounter }),
    archive: recorded(calls, { ...fakeArchive(), ...overrides.archive }),
    repositories: fakeRepositorySource(),
    masks: { ...fakeMasks(), ...overrides.masks },
    mounted: new Map(mounted.map((id) => [id as LayerId, overrides.uses?.[id] ?? 1])),
    uses: { keep: (id, uses) => Promise.resolve(void calls.push(`keep ${id} ${uses}`)) },
    mountedRepositories: overrides.mountedRepositories ?? [],
  };
}

/** No layer has whiteouts. */
function fakeMasks(): Masks {
  return {
    hold: () => Promise.resolve(null),
    adopt: () => undefined,
    release: () => Promise.resolve(),
    keep: () => Promise.resolve(),
  };
}

export function fakeConfig(options: Partial<DriverOptions> = {}): HomeConfig {
  return {
    home: HOME,
    options: { ...DEFAULT_OPTIONS, ...options },
    idMaps: { uids: [], gids: [] },
    resumed: false,
  };
}

const FACTS: HostFacts = {
  backingFileSystem: 'extfs',
  supportsDType: true,
  nativeDiff: true,
  mountApi: 'fsopen',
  projectQuota: false,
};

/** Two mounts on one target are what a wrong count leads to: the fake does not bear it. */
function fakeMounter(mounts: Set<string>): Mounter {
  return {
    async mount({ target }) {
      if (mounts.has(target)) throw new ThinlayerError('internal', `${target} is mounted twice`);
      mounts.add(target);
    },
    locate: (root, paths) => Promise.resolve(`${root}/${paths[0] ?? ''}`),
    usedByContainers: () => Promise.resolve(new Set()),
    async unmount(target) {
      mounts.delete(target);
    },
  };
}

function recorded<T extends object>(calls: string[], port: T): T {
  const methods = Object.entries(port).map(([name, method]) => {
    const record = (subject: string | OverlayMount, ...rest: unknown[]): unknown => {
      calls.push(`${name} ${typeof subject === 'string' ? subject : subject.target}`);
      return (method as (...args: unknown[]) => unknown).call(port, subject, ...rest);
    };
    return [name, record];
  });
  return Object.fromEntries(methods) as T;
}
