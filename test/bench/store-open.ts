/**
 * How long a store takes to open, and what it keeps in memory: `node --expose-gc dist/test/bench/store-open.js [layers] [directory]`.
 * Prints one JSON object; asserts nothing.
 */

import { mkdtemp, rm } from 'node:fs/promises';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { randomBytes } from 'node:crypto';

import { parseLayerId } from '../../src/core/model.js';
import { lowerText, newLink } from '../../src/store/paths.js';
import { formatRecord } from '../../src/store/records.js';
import { newRecord } from '../conformance/layer-store.js';
import { openLogged } from '../unit/store/home.js';

/** Layers of one image, each upon the other. */
const CHAIN = 20;

function makeLayers(home: string, count: number): void {
  mkdirSync(join(home, 'l'), { recursive: true });
  let chain: { id: string; link: string }[] = [];
  for (let i = 0; i < count; i += 1) {
    if (i % CHAIN === 0) chain = [];
    const [id, link] = [randomBytes(32).toString('hex'), newLink()];
    const root = join(home, id);
    for (const directory of ['', 'diff', 'work']) mkdirSync(join(root, directory), { recursive: true });
    symlinkSync(`../${id}/diff`, join(home, 'l', link));
    writeFileSync(join(root, 'link'), link);
    writeFileSync(join(root, 'layer.json'), formatRecord(newRecord(id, chain[0]?.id ?? null, { link })));
    if (chain.length > 0) writeFileSync(join(root, 'lower'), lowerText(chain.map((lower) => lower.link)));
    if (i % CHAIN !== CHAIN - 1) writeFileSync(join(root, 'committed'), '');
    chain.unshift({ id, link });
  }
}

function heap(): number {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed;
}

const count = Number(process.argv[2] ?? 10_000);
const directory = await mkdtemp(join(process.argv[3] ?? tmpdir(), 'store-bench-'));
try {
  makeLayers(directory, count);
  const before = heap();
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const started = performance.now();
  const cpu = process.cpuUsage();
  const { store, complaints } = await openLogged(directory);
  const open = performance.now() - started;
  const used = process.cpuUsage(cpu);
  delay.disable();
  const kept = heap() - before;
  const rss = process.memoryUsage().rss;

  const createStarted = performance.now();
  for (let i = 0; i < 200; i += 1) await store.create(newRecord(`bench${i}`));
  const create = (performance.now() - createStarted) / 200;
  const removeStarted = performance.now();
  for (let i = 0; i < 200; i += 1) await store.remove(parseLayerId(`bench${i}`));
  const remove = (performance.now() - removeStarted) / 200;
  await store.close();
  const round = (value: number) => Math.round(value * 100) / 100;
  console.log(
    JSON.stringify({
      layers: [...store.list()].length,
      complaints: complaints.length,
      openMs: round(open),
      openCpuMs: round((used.user + used.system) / 1e3),
      longestBlockMs: round(delay.max / 1e6),
      heapMiB: round(kept / 2 ** 20),
      rssMiB: round(rss / 2 ** 20),
      createMs: round(create),
      removeMs: round(remove),
    }),
  );
} finally {
  await rm(directory, { recursive: true, force: true });
}
