/** A caller that makes, fills, mounts, reads and removes layers at random until the daemon is gone. It remembers what it was told. */

import assert from 'node:assert/strict';
import { readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { listTree } from '../system/tree-listing.js';
import { contentsOf } from './archives.js';
import type { Daemon } from './daemon.js';
import type { Random } from './random.js';

const MAX_IMAGES = 4;
const MAX_CONTAINERS = 2;

/** An archive, and what `listTree` tells of a layer that it was applied to. */
export interface Archive {
  readonly bytes: Buffer;
  readonly tree: readonly string[];
}

/** A layer as far as its making and changing was acknowledged. */
interface Layer {
  readonly id: string;
  readonly parent: string;
  /** Null: a container. */
  readonly archive: Archive | null;
  applied: boolean;
  readonly files: Map<string, string>;
  uses: number;
  /** Its contents were compared since they changed last. */
  seen: boolean;
}

type Step = 'create' | 'apply' | 'get' | 'read' | 'put' | 'remove';

export class LoadCaller {
  readonly layers = new Map<string, Layer>();
  /** The call that was not answered. */
  private pending: { readonly step: Step; readonly layer: Layer } | null = null;
  private readonly daemon: Daemon;
  private readonly random: Random;
  private readonly name: string;
  private readonly base: string;
  private readonly archives: readonly Archive[];
  private count = 0;

  constructor(daemon: Daemon, random: Random, name: string, base: string, archives: readonly Archive[]) {
    this.daemon = daemon;
    this.random = random;
    this.name = name;
    this.base = base;
    this.archives = archives;
  }

  /** Ends when the connection to the daemon breaks. An answer that is an error is one. */
  async run(): Promise<void> {
    try {
      for (;;) await this.random.pick(this.choices())();
    } catch (error) {
      if (!isBroken(error)) throw error;
    }
  }

  /** After a new start: what was acknowledged is there, what was not is whole or absent and can be repeated. */
  async reconcile(): Promise<void> {
    const { pending } = this;
    const settled = [...this.layers.values()].filter((layer) => layer !== pending?.layer);
    await this.checkStates(settled);
    for (const layer of settled) if (!layer.seen) await this.checkContents(layer);
    this.pending = null;
    if (pending) await this.settle(pending.step, pending.layer);
    for (const layer of this.layers.values()) if (layer.uses > 0) await this.endUses(layer);
  }

  /** All layers are as they were acknowledged, to the byte. */
  async checkAll(): Promise<void> {
    await this.checkStates([...this.layers.values()]);
    for (const layer of this.layers.values()) await this.checkContents(layer);
  }

  async removeAll(): Promise<void> {
    for (const layer of [...this.layers.values()].reverse()) await this.attempt('remove', layer);
  }

  private choices(): (() => Promise<void>)[] {
    const layers = [...this.layers.values()];
    const images = layers.filter(({ archive }) => archive);
    const containers = layers.filter(({ archive }) => !archive);
    const removable = layers.filter(({ id }) => !layers.some(({ parent }) => parent === id));
    const choices: (() => Promise<void>)[] = containers.map((layer) => () => this.use(layer));
    if (images.length < MAX_IMAGES) choices.push(() => this.makeImage());
    if (images.length > 0 && containers.length < MAX_CONTAINERS)
      choices.push(() => this.makeContainer(this.random.pick(images)));
    if (images.length > 1) choices.push(() => this.attempt('remove', this.random.pick(removable)));
    return choices;
  }

  private async makeImage(): Promise<void> {
    const layer = this.newLayer(this.base, this.random.pick(this.archives));
    await this.attempt('create', layer);
    await this.attempt('apply', layer);
  }

  private makeContainer(image: Layer): Promise<void> {
    return this.attempt('create', this.newLayer(image.id, null));
  }

  private newLayer(parent: string, archive: Archive | null): Layer {
    const id = `${this.name}-${archive ? 'image' : 'container'}-${this.count++}`;
    return { id, parent, archive, applied: false, files: new Map(), uses: 0, seen: false };
  }

  private async use(layer: Layer): Promise<void> {
    await this.attempt('get', layer);
    const name = `file-${this.count++}`;
    await writeFile(join(this.daemon.inside(this.merged(layer)), name), `contents of ${name}`);
    layer.files.set(name, `contents of ${name}`);
    layer.seen = false;
    await this.attempt('read', layer);
    await this.attempt('put', layer);
  }

  /** One call. What it changes is remembered when it was answered. */
  private async attempt(step: Step, layer: Layer): Promise<void> {
    this.pending = { step, layer };
    await this[step](layer);
    this.pending = null;
  }

  private async create(layer: Layer): Promise<void> {
    const { id, parent, archive } = layer;
    if (archive) await this.daemon.client.create(id, parent);
    else await this.daemon.client.createReadWrite(id, parent);
    this.layers.set(id, layer);
  }

  private async apply(layer: Layer): Promise<void> {
    assert.ok(layer.archive);
    await this.daemon.client.applyDiff(layer.id, layer.parent, layer.archive.bytes);
    layer.applied = true;
    layer.seen = false;
  }

  private async get(layer: Layer): Promise<void> {
    await this.daemon.client.get(layer.id);
    layer.uses += 1;
  }

  private async put(layer: Layer): Promise<void> {
    await this.daemon.client.put(layer.id);
    layer.uses -= 1;
  }

  private async read({ id, parent, files }: Layer): Promise<void> {
    const archived = await contentsOf(await this.daemon.client.diff(id, parent));
    const texts = [...archived].map(([name, bytes]): [string, string] => [name, bytes.toString()]);
    assert.deepEqual(new Map(texts.sort()), new Map([...files].sort()));
    assert.equal((await this.daemon.client.changes(id, parent)).length, files.size);
  }

  private async remove({ id }: Layer): Promise<void> {
    await this.daemon.client.remove(id);
    this.layers.delete(id);
  }

  /** Repeats what was not acknowledged, as dockerd would. */
  private async settle(step: Step, layer: Layer): Promise<void> {
    switch (step) {
      case 'create':
        if (await this.daemon.client.exists(layer.id)) await this.check(layer);
        return this.create(layer);
      case 'apply':
        layer.applied = await this.isApplied(layer);
        await this.check(layer);
        await this.remove(layer);
        await this.create(layer);
        return this.apply(layer);
      case 'get':
      case 'put':
        await this.daemon.client.put(layer.id);
        layer.uses = 0;
        return this.check(layer);
      case 'read':
        return this.check(layer);
      case 'remove':
        if (await this.daemon.client.exists(layer.id)) await this.check(layer);
        return this.remove(layer);
    }
  }

  /** The new daemon counts one use for what it found mounted: after a crash of dockerd comes one Put, with live-restore a Get and a Put first. */
  private async endUses(layer: Layer): Promise<void> {
    const { client } = this.daemon;
    if (this.random.below(2) === 0) {
      await client.get(layer.id);
      await client.put(layer.id);
      layer.uses = 1;
      await this.check(layer);
    }
    await client.put(layer.id);
    layer.uses = 0;
    await this.check(layer);
  }

  private async check(layer: Layer): Promise<void> {
    await this.checkStates([layer]);
    await this.checkContents(layer);
  }

  private async checkStates(layers: readonly Layer[]): Promise<void> {
    const reports = await this.daemon.layers();
    const mounts = await this.daemon.mounts();
    for (const layer of layers) {
      const state = layer.uses > 0 ? 'mounted' : layer.applied ? 'applied' : 'created';
      assert.equal(reports.find(({ id }) => id === layer.id)?.state, state, layer.id);
      assert.equal(mounts.includes(this.merged(layer)), layer.uses > 0, `${layer.id} is mounted`);
    }
  }

  private async checkContents(layer: Layer): Promise<void> {
    if (!layer.applied) await this.checkFiles(layer);
    else assert.deepEqual(await listTree(this.diff(layer)), layer.archive?.tree, layer.id);
    layer.seen = true;
  }

  private async checkFiles(layer: Layer): Promise<void> {
    const names = (await readdir(this.diff(layer))).sort();
    const texts = await Promise.all(names.map((name) => readFile(join(this.diff(layer), name), 'utf8')));
    const found = names.map((name, index): [string, string | undefined] => [name, texts[index]]);
    assert.deepEqual(new Map(found), new Map([...layer.files].sort()), layer.id);
  }

  private async isApplied({ id }: Layer): Promise<boolean> {
    return (await this.daemon.layers()).some((layer) => layer.id === id && layer.state === 'applied');
  }

  private merged({ id }: Layer): string {
    return join(this.daemon.home, id, 'merged');
  }

  private diff({ id }: Layer): string {
    return join(this.daemon.home, id, 'diff');
  }
}

const BROKEN = new Set(['ECONNRESET', 'ECONNREFUSED', 'EPIPE', 'ENOENT']);

/** Whether the daemon was gone before it answered; an archive that broke off in the middle is one reason. */
function isBroken(error: unknown): boolean {
  const { code, message } = error as NodeJS.ErrnoException;
  return BROKEN.has(code ?? '') || message === 'aborted' || message === 'socket hang up';
}
