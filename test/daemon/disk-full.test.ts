/**
 * thinlayerd on a disk that is full, or has room for a few files only, so that each call fails at each of its steps: it
 * succeeds, or is refused with what to do and leaves everything as it was. Layers can be removed, and the daemon
 * started again, when nothing at all goes in any more; and all is well again when there is room.
 */

import assert from 'node:assert/strict';
import { readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { test } from 'node:test';

import type { Jail } from '../system/jail.js';
import { listTree } from '../system/tree-listing.js';
import { archiveOf, contentsOf, manyFiles } from './archives.js';
import { CallError } from './client.js';
import { cannotRun, withDaemon } from './daemon.js';
import type { Daemon } from './daemon.js';
import { makeImage, wholeLife } from './layers.js';
import { refused } from './refused.js';
import { FILE_SYSTEM_KINDS, missingFor, SmallFileSystem } from './small-file-system.js';
import type { FileSystemKind } from './small-file-system.js';
import { assertSound } from './soundness.js';

/** How many small files there is still room for. */
const ROOMS = [0, 1, 2, 3, 4, 6, 8, 12, 20];
/** btrfs writes all out, and looks again, before it refuses anything: half a second each. */
const ROOMS_OF_BTRFS = [0, 2, 6];
const ROOMS_OF_RESTARTS = [0, 2];

const WHAT_TO_DO = /ENOSPC.*; free space or inodes on the file system of \/[^;]*, or raise its quota$/;

/** Nothing of them may ever change. */
const KEPT = ['base', 'upper', 'running'];

for (const kind of FILE_SYSTEM_KINDS) {
  test(`a full ${kind.name}`, { skip: cannotRun || (await missingFor(kind)) }, async (t) => {
    let disk: SmallFileSystem | undefined;
    const before = async (home: string, jail: Jail) => {
      disk = await mountBelow(home, jail, kind);
    };
    await withDaemon(t, { home: 'small/home', before }, async (daemon) => {
      assert.ok(disk);
      await new Life(daemon, disk).live();
    });
    await disk?.loopDeviceGone();
  });
}

/** What thinlayerd remembers of Init lies on the same disk, as on most machines. */
async function mountBelow(home: string, jail: Jail, kind: FileSystemKind): Promise<SmallFileSystem> {
  const disk = await SmallFileSystem.mount(jail, kind, dirname(home));
  await jail.run(['mkdir', join(dirname(home), 'state')]);
  await symlink('small/state', join(jail.directory, 'state'));
  return disk;
}

interface Call {
  readonly layer: string;
  readonly run: () => Promise<unknown>;
  /** Whether its layer is mounted after it. */
  readonly mounts?: boolean;
}

/** Of a home on such a disk: an image of two layers, and a container on it that has files of its own. */
class Life {
  private readonly daemon: Daemon;
  private readonly disk: SmallFileSystem;
  /** All layers that there are, and whether each is mounted. */
  private readonly layers = new Map<string, boolean>();

  constructor(daemon: Daemon, disk: SmallFileSystem) {
    this.daemon = daemon;
    this.disk = disk;
  }

  async live(): Promise<void> {
    await this.begin();
    const before = await this.contents(KEPT);
    const rooms = this.disk.kind.type === 'btrfs' ? ROOMS_OF_BTRFS : ROOMS;
    for (const [turn, room] of rooms.entries()) {
      await this.callAll(turn, room);
      assert.deepEqual(await this.contents(KEPT), before, `with room for ${room}`);
    }
    for (const room of ROOMS_OF_RESTARTS) await this.restart(room);
    assert.deepEqual(await this.contents(KEPT), before, 'after restarts');
    await this.end();
  }

  private async begin(): Promise<void> {
    const { client } = this.daemon;
    await makeImage(this.daemon, 'base');
    await makeImage(this.daemon, 'upper', 'base');
    await client.createReadWrite('running', 'upper');
    await writeFile(join(this.daemon.inside(await client.get('running')), 'written'), 'before');
    for (const id of KEPT) this.layers.set(id, id === 'running');
  }

  private async end(): Promise<void> {
    await this.disk.free();
    await wholeLife(this.daemon, 'after-all');
    for (const id of [...KEPT].reverse()) await this.remove(id);
    await this.daemon.trashEmptied();
    assert.deepEqual(await this.daemon.leftovers(), []);
  }

  /** Each call on the full disk, and again on one with room if it was refused. */
  private async callAll(turn: number, room: number): Promise<void> {
    const { client } = this.daemon;
    const calls = await this.prepare();
    await this.disk.fill(room);
    // Each is the first one now and then, which finds exactly that room.
    const inTurn = calls.map((_, index) => calls[(index + turn) % calls.length] as Call);
    const refused: Call[] = [];
    for (const call of inTurn) if (!(await this.succeeds(call))) refused.push(call);
    if (room === 0) assert.ok(refused.length >= 3, `only ${refused.length} calls were refused`);
    await this.read();
    await client.put('running');
    this.layers.set('running', false);
    await this.remove('doomed');
    await this.assertSound(`with room for ${room}`);

    await this.disk.free();
    for (const call of refused) assert.ok(await this.succeeds(call), `${call.layer} after space was freed`);
    assert.ok(await this.succeeds({ layer: 'running', run: () => client.get('running'), mounts: true }));
    for (const id of [...this.layers.keys()].reverse()) if (!KEPT.includes(id)) await this.remove(id);
    await this.assertSound('with room again');
  }

  /** The layers that the calls are about. */
  private async prepare(): Promise<Call[]> {
    const { client } = this.daemon;
    for (const id of ['small', 'large', 'foreign']) await client.create(id, 'upper');
    for (const id of ['idle', 'doomed']) await client.createReadWrite(id, 'upper');
    for (const id of ['small', 'large', 'foreign', 'idle', 'doomed']) this.layers.set(id, false);
    const small = await manyFiles('small', 20);
    const large = await archiveOf([{ name: 'large', contents: Buffer.alloc(this.disk.large, 'x') }]);
    return [
      { layer: 'image', run: () => client.create('image', 'upper') },
      { layer: 'container', run: () => client.createReadWrite('container', 'upper') },
      { layer: 'small', run: () => client.applyDiff('small', 'upper', small) },
      { layer: 'large', run: () => client.applyDiff('large', 'upper', large) },
      { layer: 'foreign', run: () => client.applyDiff('foreign', 'base', small) },
      { layer: 'idle', run: () => client.get('idle'), mounts: true },
    ];
  }

  /** False if it was refused as it should be. */
  private async succeeds({ layer, run, mounts }: Call): Promise<boolean> {
    const there = this.layers.has(layer);
    const before = there && (await this.own(layer));
    try {
      await run();
      this.layers.set(layer, mounts ?? false);
      return true;
    } catch (error) {
      if (!(error instanceof CallError)) throw error;
      assert.match(error.message, WHAT_TO_DO);
      assert.equal(error.status, 507);
      assert.equal(await this.daemon.client.exists(layer), there);
      if (there) assert.deepEqual(await this.own(layer), before, `${layer} after ${error.message}`);
      return false;
    }
  }

  /** Readers need no room. */
  private async read(): Promise<void> {
    const { client } = this.daemon;
    const files = await contentsOf(await client.diff('running', 'upper'));
    assert.equal(files.get('written')?.toString(), 'before');
    assert.deepEqual(await client.changes('running', 'upper'), [{ Path: '/written', Kind: 1 }]);
    assert.equal(await client.diffSize('running', 'upper'), 'before'.length);
  }

  private async remove(id: string): Promise<void> {
    await this.daemon.client.remove(id);
    this.layers.delete(id);
  }

  /** On the full disk: an orderly one, one after a kill, and Init as dockerd sends it at its own start. */
  private async restart(room: number): Promise<void> {
    const { daemon } = this;
    await this.disk.fill(room);
    await daemon.restart();
    await this.assertSound(`restarted with room for ${room}`);
    await daemon.kill9();
    await daemon.launch();
    if (room === 0) await refused(daemon.client.init(`${daemon.home}-new`), 507, WHAT_TO_DO);
    await daemon.client.init(daemon.home);
    await this.assertSound(`killed with room for ${room}`);
    await this.read();
    await this.disk.free();
  }

  private async assertSound(when: string): Promise<void> {
    const reports = (await this.daemon.layers()).map(({ id, state }): [string, boolean] => [
      id,
      state === 'mounted',
    ]);
    assert.deepEqual(new Map(reports.sort()), new Map([...this.layers].sort()), when);
    await assertSound(this.daemon, this.layers);
  }

  /** Records and files of these layers. */
  private contents(ids: readonly string[]): Promise<unknown[]> {
    const trees = (id: string) => listTree(join(this.daemon.inside(this.daemon.home), id, 'diff'));
    return Promise.all(ids.map(async (id) => [await this.own(id), await trees(id)]));
  }

  private async own(id: string): Promise<unknown[]> {
    const root = join(this.daemon.inside(this.daemon.home), id);
    return [await readFile(join(root, 'layer.json'), 'utf8'), await readdir(join(root, 'diff'))];
  }
}
