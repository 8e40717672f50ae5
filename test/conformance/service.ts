/** What every LayerService does, whatever stands behind or before it: a supervisor, a socket, fakes, a real disk. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { LayerId } from '../../src/core/model.js';
import type { ByteStream, LayerService } from '../../src/core/service.js';

type Methods = 'create' | 'attach' | 'detach' | 'applyDiff' | 'diff' | 'changes' | 'size' | 'remove';

/** The part of a LayerService that can be had over a wire, too. */
export interface TestedService extends Pick<LayerService, Methods> {
  exists(id: LayerId): Promise<boolean>;
}

export interface ServiceUnderTest {
  readonly service: TestedService;
  /** An archive that adds empty files of these names to the root. */
  archive(names: readonly string[]): Promise<Uint8Array>;
  /** Unmounts and deletes all that the test left. */
  close(): Promise<void>;
}

/** `start` gives a service with an empty home; each test has its own. */
export function serviceSuite(name: string, start: () => Promise<ServiceUnderTest>): void {
  const each = (title: string, body: (tested: Tested) => Promise<void>) => {
    test(`${name}: ${title}`, async () => {
      const started = await start();
      try {
        await body(new Tested(started));
      } finally {
        await started.close();
      }
    });
  };
  creation(each);
  counting(each);
  removal(each);
  archives(each);
}

type Each = (title: string, body: (tested: Tested) => Promise<void>) => void;

const [BASE, TOP, OTHER] = ['base', 'top', 'other'] as [LayerId, LayerId, LayerId];

class Tested {
  readonly service: TestedService;
  readonly #started: ServiceUnderTest;

  constructor(started: ServiceUnderTest) {
    this.#started = started;
    this.service = started.service;
  }

  /** An image layer that holds these files, and a container on it. */
  async pair(...names: string[]): Promise<TestedService> {
    await this.service.create(BASE, null, 'image', {});
    await this.apply(BASE, null, ...names);
    await this.service.create(TOP, BASE, 'container', {});
    return this.service;
  }

  async apply(id: LayerId, parent: LayerId | null, ...names: string[]): Promise<number> {
    return this.service.applyDiff(id, parent, pieces(await this.#started.archive(names)));
  }

  async cut(...names: string[]): Promise<ByteStream> {
    const whole = await this.#started.archive(names);
    return pieces(whole.subarray(0, Math.floor(whole.length / 3)));
  }
}

/** In chunks of odd sizes, as they come off a wire. */
async function* pieces(bytes: Uint8Array): ByteStream {
  for (let at = 0, size = 1; at < bytes.length; at += size, size = (size * 3) % 1021) {
    yield bytes.subarray(at, at + size);
  }
}

async function bytesOf(stream: ByteStream): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of stream) parts.push(Buffer.from(part));
  return Buffer.concat(parts);
}

function creation(each: Each): void {
  each('creation may be repeated, with the same wishes only', async ({ service }) => {
    await service.create(BASE, null, 'image', {});
    await service.create(BASE, null, 'image', {});
    await service.create(TOP, BASE, 'container', { mountLabel: 'a:b' });
    await service.create(TOP, BASE, 'container', { mountLabel: 'a:b' });
    await assert.rejects(service.create(TOP, BASE, 'container', {}), { code: 'already_exists' });
    await assert.rejects(service.create(TOP, null, 'container', { mountLabel: 'a:b' }), {
      code: 'already_exists',
    });
    await assert.rejects(service.create(BASE, null, 'container', {}), { code: 'already_exists' });
    assert.deepEqual([await service.exists(BASE), await service.exists(OTHER)], [true, false]);
  });

  each('a missing parent refuses a creation, and nothing of it stays', async ({ service }) => {
    await assert.rejects(service.create(TOP, BASE, 'image', {}), { code: 'not_found', message: /base/ });
    assert.equal(await service.exists(TOP), false);
    await service.create(TOP, null, 'image', {});
  });

  each('storage options that make no sense refuse a creation', async ({ service }) => {
    await service.create(BASE, null, 'image', {});
    const create = (storageOptions: Record<string, string>) =>
      service.create(TOP, BASE, 'container', { storageOptions });
    await assert.rejects(create({ color: 'red' }), { code: 'invalid_argument' });
    await assert.rejects(create({ size: 'much' }), { code: 'invalid_argument' });
    assert.equal(await service.exists(TOP), false);
  });
}

function counting(each: Each): void {
  each('every attach answers the same directory, the last detach ends it', async (tested) => {
    const service = await tested.pair('file');
    const path = await service.attach(TOP, null);
    assert.match(path, /\/top\/merged$/);
    assert.equal(await service.attach(TOP, null), path);
    await service.detach(TOP);
    await service.detach(TOP);
    assert.equal(await service.attach(TOP, null), path);
    await service.detach(TOP);
  });

  each('a layer without lower layers shows its own directory', async (tested) => {
    const service = await tested.pair('file');
    assert.match(await service.attach(BASE, null), /\/base\/diff$/);
    await service.detach(BASE);
  });

  each('detaches too many are successes, and do not count against later uses', async (tested) => {
    const service = await tested.pair('file');
    await service.detach(TOP);
    await service.detach(TOP);
    await service.detach(OTHER);
    await service.attach(TOP, null);
    await service.attach(TOP, null);
    await service.detach(TOP);
    await service.detach(TOP);
    await service.remove(TOP);
  });

  each('64 callers at once count right', async (tested) => {
    const service = await tested.pair('file');
    const caller = async () => {
      await service.attach(TOP, null);
      await service.detach(TOP);
    };
    await Promise.all(Array.from({ length: 64 }, caller));
    await service.remove(TOP);
  });

  each('an unknown layer cannot be attached', async ({ service }) => {
    await assert.rejects(service.attach(TOP, null), { code: 'not_found', message: /top/ });
  });
}

function removal(each: Each): void {
  each('removal may be repeated, and makes room for a new layer', async (tested) => {
    const service = await tested.pair('file');
    await service.remove(TOP);
    await service.remove(TOP);
    await service.remove(OTHER);
    assert.equal(await service.exists(TOP), false);
    await service.create(TOP, null, 'image', {});
  });

  each('a layer with children stays', async (tested) => {
    const service = await tested.pair('file');
    await assert.rejects(service.remove(BASE), { code: 'failed_precondition', message: /base/ });
    assert.equal(await service.exists(BASE), true);
    await service.remove(TOP);
    await service.remove(BASE);
  });

  each('removal of an attached layer detaches it first', async (tested) => {
    const service = await tested.pair('file');
    await service.attach(TOP, null);
    await service.attach(TOP, null);
    await service.remove(TOP);
    assert.equal(await service.exists(TOP), false);
    await service.remove(BASE);
  });
}

function archives(each: Each): void {
  each('what was applied comes out again: as archive, as changes, as size', async (tested) => {
    const service = await tested.pair('b', 'a');
    const size = await service.size(BASE, null);
    assert.deepEqual(await service.changes(BASE, null), [
      { path: '/a', kind: 'added' },
      { path: '/b', kind: 'added' },
    ]);
    const bytes = await bytesOf(await service.diff(BASE, null));
    await service.create(OTHER, null, 'image', {});
    assert.equal(await service.applyDiff(OTHER, null, pieces(bytes)), size);
    assert.deepEqual(await bytesOf(await service.diff(OTHER, null)), bytes);
  });

  each('a layer nothing was written to has an archive, no changes and no size', async (tested) => {
    const service = await tested.pair('file');
    assert.notEqual((await bytesOf(await service.diff(TOP, BASE))).length, 0);
    assert.deepEqual(await service.changes(TOP, BASE), []);
    assert.equal(await service.size(TOP, BASE), 0);
  });

  each('an archive goes into a fresh layer only', async (tested) => {
    const service = await tested.pair('file');
    await assert.rejects(tested.apply(BASE, null, 'more'), { code: 'failed_precondition' });
    await service.attach(TOP, null);
    await assert.rejects(tested.apply(TOP, BASE, 'more'), { code: 'failed_precondition' });
    await service.detach(TOP);
    await assert.rejects(tested.apply(OTHER, null, 'more'), { code: 'not_found' });
  });

  each('an empty or a cut archive is refused, and the layer is as before', async (tested) => {
    const { service } = tested;
    await service.create(BASE, null, 'image', {});
    await assert.rejects(service.applyDiff(BASE, null, pieces(Buffer.alloc(0))), {
      code: 'invalid_argument',
    });
    await assert.rejects(service.applyDiff(BASE, null, await tested.cut('a', 'b')), {
      code: 'invalid_argument',
    });
    assert.deepEqual(await service.changes(BASE, null), []);
    await tested.apply(BASE, null, 'file');
    assert.deepEqual(await service.changes(BASE, null), [{ path: '/file', kind: 'added' }]);
  });

  each('an unknown layer has no archive, changes or size', async ({ service }) => {
    await assert.rejects(service.diff(TOP, null), { code: 'not_found' });
    await assert.rejects(service.changes(TOP, null), { code: 'not_found' });
    await assert.rejects(service.size(TOP, null), { code: 'not_found' });
  });

  each('a diff is fed into an apply while its layer is attached and detached', async (tested) => {
    const service = await tested.pair('file');
    await service.create(OTHER, BASE, 'image', {});
    await service.attach(TOP, null);
    const applied = service.applyDiff(OTHER, BASE, await service.diff(TOP, BASE));
    await service.attach(TOP, null);
    await service.detach(TOP);
    assert.equal(await applied, 0);
    await service.detach(TOP);
  });

  each('removal waits for an archive that is read', async (tested) => {
    const service = await tested.pair('file');
    const stream = await service.diff(TOP, BASE);
    const removed = service.remove(TOP);
    assert.notEqual((await bytesOf(stream)).length, 0);
    await removed;
    assert.equal(await service.exists(TOP), false);
  });
}
