/**
 * thinlayer beside moby's own overlay2 (served as a plugin: test/bench/peer/o2serve), on the same layers with the same
 * questions: Changes, DiffSize and Diff of a layer against its parent, against other ancestors, strangers and nothing,
 * and what becomes of a Diff that is applied where it was not made. The answers are the same, but for these, in which
 * thinlayer is better on purpose:
 *
 *   - Changes come sorted; moby's order is that of a hash table.
 *   - Diff keeps all attributes of a file but overlayfs's own, moby security.capability alone; and times to the
 *     nanosecond, moby to the second.
 *   - A whiteout in a Diff is an empty file of mode 600 whose times do not depend on the day: the same layer gives
 *     the same bytes. moby takes mode and time, and the link name of another file, from the device in the layer, or 0
 *     and the current time where it compares trees.
 *   - `mode` in an archive is the permissions, as POSIX has it; moby adds the bits of the type.
 *   - ApplyDiff against another than the parent answers what DiffSize does; moby leaves symlinks out there.
 */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Header } from 'tar-stream';

import { archiveOf, entriesOf } from '../daemon/archives.js';
import { GraphDriverClient } from '../daemon/client.js';
import { pluginSocket, startPlugin } from '../system/drivers.js';
import type { PluginName } from '../system/drivers.js';
import { Jail } from '../system/jail.js';
import { CACHE } from '../system/project.js';
import { listTree } from '../system/tree-listing.js';
import { CONTAINER_ON_TOP, IMAGES } from './awkward-layers.js';

const noPeer = existsSync(join(CACHE, 'bin/o2serve'))
  ? false
  : "SKIPPED: moby's overlay2 is not built here (test/setup/moby.sh)";

/** A layer, and another that it is compared with. */
type Pair = readonly [id: string, other: string];

const PAIRS: readonly Pair[] = [
  ['base', ''],
  ['base', 'middle'],
  ['base', 'top'],
  ['middle', 'base'],
  ['middle', ''],
  ['top', 'middle'],
  ['top', 'base'],
  ['top', ''],
  ['top', 'stranger'],
  ['stranger', 'top'],
  ['container', 'top'],
  ['container', 'middle'],
  ['container', 'base'],
  ['container', ''],
  ['container', 'stranger'],
];

interface Transplant {
  /** The Diff of these two … */
  readonly diff: Pair;
  /** … is applied to a new layer on this one … */
  readonly on: string;
  /** … as if that were this one. */
  readonly told: string;
}

const TRANSPLANTS: readonly Transplant[] = [
  { diff: ['top', 'base'], on: 'stranger', told: 'top' },
  { diff: ['container', 'base'], on: 'middle', told: 'base' },
  { diff: ['container', 'middle'], on: 'top', told: 'middle' },
  { diff: ['container', ''], on: 'middle', told: '' },
  { diff: ['container', 'stranger'], on: 'middle', told: 'base' },
];

type Answer = readonly [question: string, answer: unknown];

test("thinlayer and moby's overlay2 tell the same of the same layers", { skip: noPeer }, async (t) => {
  const [ours, mobys] = await Promise.all([answersOf('thinlayer'), answersOf('o2serve')]);
  assert.deepEqual([...ours.keys()], [...mobys.keys()]);
  for (const [question, answer] of ours) {
    await t.test(question, () => assert.deepEqual(answer, mobys.get(question)));
  }
});

async function answersOf(name: PluginName): Promise<ReadonlyMap<string, unknown>> {
  await using driver = await Driver.start(name);
  const images: Answer[] = [];
  for (const { id, parent, entries } of IMAGES) {
    await driver.client.create(id, parent);
    const answered = await driver.client.applyDiff(id, parent, await archiveOf(entries));
    images.push([`ApplyDiff of ${id}`, answered], [`files of ${id}`, await driver.files(id)]);
  }
  await driver.client.createReadWrite('container', 'top');
  await driver.runIn('container', CONTAINER_ON_TOP);
  // At once: moby sleeps to the next full second after each comparison of trees.
  const comparisons = await Promise.all(PAIRS.map((pair) => compare(driver, pair)));
  const transplants = await Promise.all(TRANSPLANTS.map((transplant) => apply(driver, transplant)));
  return new Map([...images, ...comparisons.flat(), ...transplants.flat()]);
}

async function compare({ client }: Driver, [id, other]: Pair): Promise<Answer[]> {
  const pair = `${id} against ${other || 'nothing'}`;
  return [
    [`Changes of ${pair}`, await changes(client, id, other)],
    [`DiffSize of ${pair}`, await client.diffSize(id, other)],
    [`Diff of ${pair}`, await described(await client.diff(id, other))],
  ];
}

async function apply(driver: Driver, { diff: [id, other], on, told }: Transplant): Promise<Answer[]> {
  const { client } = driver;
  const name = `${id}-${other}-on-${on}-told-${told}`;
  await client.create(name, on);
  const answered = await client.applyDiff(name, told, await client.diff(id, other));
  const size = await client.diffSize(name, on);
  assert.ok(driver.name === 'o2serve' || answered === size, `ApplyDiff of ${name} answers ${answered}`);
  const container = `${name}-container`;
  await client.createReadWrite(container, name);
  return [
    [`DiffSize of ${name}`, size],
    [`files of ${name}`, await driver.files(name)],
    [`Changes of ${name}`, await changes(client, name, on)],
    [`all that ${name} shows`, await driver.merged(container)],
  ];
}

async function changes(client: GraphDriverClient, id: string, other: string): Promise<string[]> {
  return (await client.changes(id, other)).map(({ Path, Kind }) => `${Kind} ${Path}`).sort();
}

/** A line for each entry. */
async function described(archive: Buffer): Promise<string[]> {
  const lines: string[] = [];
  for await (const { header, contents } of entriesOf(archive)) {
    const hash = contents.length === 0 ? '' : createHash('sha256').update(contents).digest('hex');
    lines.push(isWhiteout(header) ? header.name : `${headerLine(header)} ${hash}`);
  }
  return lines.sort();
}

function isWhiteout({ name }: Header): boolean {
  return /(^|\/)\.wh\.[^/]*$/.test(name) && !name.endsWith('/.wh..wh..opq');
}

/** Of files alone have the times been set by the layers and the container. */
function headerLine({ name, type, mode = 0, uid, gid, size, linkname, mtime, pax }: Header): string {
  const time = type === 'file' ? Math.floor(Number(mtime) / 1000) : null;
  const attributes = Object.entries(pax ?? {}).filter(([key]) => key.startsWith('SCHILY.xattr.'));
  return JSON.stringify([name, type, mode & 0o7777, uid, gid, size, linkname, time, attributes]);
}

/** One of the two, in a jail of its own. */
class Driver implements AsyncDisposable {
  readonly name: PluginName;
  readonly client: GraphDriverClient;
  private readonly jail: Jail;
  private readonly home: string;

  private constructor(name: PluginName, jail: Jail) {
    this.name = name;
    this.jail = jail;
    this.home = join(jail.directory, 'home');
    this.client = new GraphDriverClient(pluginSocket(jail));
  }

  static async start(name: PluginName): Promise<Driver> {
    const jail = await Jail.make();
    const driver = new Driver(name, jail);
    try {
      await startPlugin(jail, name);
      await driver.client.init(driver.home);
      return driver;
    } catch (error) {
      await driver[Symbol.asyncDispose]();
      throw error;
    }
  }

  async runIn(id: string, script: string): Promise<void> {
    await this.jail.run(['sh', '-ec', `cd '${await this.client.get(id)}'\n${script}`]);
    await this.client.put(id);
  }

  /** The layer's own, with overlayfs's marks. */
  files(id: string): Promise<string[]> {
    return listTree(join(this.home, id, 'diff'), { withoutTimes: true });
  }

  async merged(id: string): Promise<string[]> {
    const path = await this.client.get(id);
    const files = await listTree(`/proc/${this.jail.init}/root${path}`, { withoutTimes: true });
    await this.client.put(id);
    return files;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.client.close();
    await this.jail.close();
  }
}
