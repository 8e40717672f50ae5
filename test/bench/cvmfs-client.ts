/** The embedded client beside the local disk with the same tree. */

import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { check } from '../system/process.js';
import { ClientLab, dropCaches, LARGE_FILE_BYTES } from './client-lab.js';
import type { Memory } from './client-lab.js';
import { compare, elapsed, median, printTable } from './measure.js';
import type { Row, Subject } from './measure.js';

const ROUNDS = 5;
const SMALL_READS = 200;
const STARTS = 5;

export async function benchClient(): Promise<void> {
  for (const [files, rounds] of [
    [5_000, ROUNDS],
    [100_000, 3],
  ] as const) {
    await using lab = await ClientLab.start(files);
    const name = `${files.toLocaleString('en')} files`;
    const before = await lab.memory();
    await walk(lab.mounted);
    const walked = await lab.memory();
    await lab.copyTree();
    printTable(`thinlayer-cvmfs, ${name}`, [...(await wholeTrees(lab, rounds)), await cold(lab)]);
    const after = await lab.memory();
    console.log(
      `memory: ${mib(before)} at first, ${mib(walked)} after a walk, ${mib(after)} after all was fetched and read`,
    );
    if (files === 5_000) await single(lab);
  }
}

function mib({ resident, own }: Memory): string {
  return `${resident.toFixed(0)} MiB (${own.toFixed(0)} MiB its own)`;
}

/** A walk that reads all attributes, and an archive of everything. */
async function wholeTrees(lab: ClientLab, rounds: number): Promise<Row[]> {
  const subjects: Subject<string>[] = [
    { label: 'local disk', subject: lab.copy },
    { label: 'thinlayer', subject: lab.mounted },
  ];
  const rows: Row[] = [];
  for (const [name, work] of [
    ['find -printf', walk],
    ['tar of everything', tar],
  ] as const) {
    for (const { subject } of subjects) await work(subject);
    const kept = { name: `${name}, kernel caches kept`, unit: 'ms', rounds };
    rows.push(await compare(kept, subjects, (tree) => elapsed(() => work(tree))));
    const dropped = { name: `${name}, kernel caches dropped`, unit: 'ms', rounds };
    const afterDrop = async (tree: string) => {
      await dropCaches();
      return await elapsed(() => work(tree));
    };
    rows.push(await compare(dropped, subjects, afterDrop));
  }
  return rows;
}

/** Everything comes from the server, but for the disk beside it. */
async function cold(lab: ClientLab): Promise<Row> {
  await dropCaches();
  const local = await elapsed(() => tar(lab.copy));
  await lab.forget();
  await lab.mount();
  await dropCaches();
  const fetched = await elapsed(() => tar(lab.mounted));
  const values = new Map([
    ['local disk', local],
    ['thinlayer', fetched],
  ]);
  return { name: 'tar of everything, cold', unit: 'ms', values };
}

async function single(lab: ClientLab): Promise<void> {
  const starts: number[] = [];
  const refreshes: number[] = [];
  for (let round = 0; round < STARTS; round++) {
    await lab.forget();
    starts.push(await elapsed(() => lab.mount()));
    const refresh = lab.change();
    refreshes.push(await elapsed(refresh));
  }
  const names = Array.from({ length: SMALL_READS }, (_, i) => join(lab.mounted, `d20/f${i % 100}`)).slice(
    0,
    100,
  );
  const coldReads = await readAll(names);
  await dropCaches();
  const warmReads = await readAll(names);
  const large = await elapsed(() => readThrough(join(lab.mounted, 'large')));
  console.log(
    `mount to the first file read, no cache: ${median(starts).toFixed(0)} ms; refresh: ${median(refreshes).toFixed(1)} ms`,
  );
  console.log(
    `a small file, cold: ${median(coldReads).toFixed(2)} ms; from the client's cache: ${median(warmReads).toFixed(2)} ms`,
  );
  console.log(
    `${LARGE_FILE_BYTES >> 20} MiB in chunks, cold: ${(LARGE_FILE_BYTES / 1000 / large).toFixed(0)} MB/s`,
  );
}

async function readAll(paths: readonly string[]): Promise<number[]> {
  const times: number[] = [];
  for (const path of paths) times.push(await elapsed(() => readFile(path)));
  return times;
}

async function readThrough(path: string): Promise<void> {
  await using file = await open(path);
  const buffer = Buffer.alloc(1 << 20);
  while ((await file.read(buffer)).bytesRead > 0) continue;
}

async function walk(tree: string): Promise<void> {
  await check('find', [tree, '-printf', '%s %m %T@ %p\n']);
}

async function tar(tree: string): Promise<void> {
  // To /dev/null itself tar would read nothing.
  await check('bash', ['-c', 'tar -C "$0" -cf - . | cat > /dev/null', tree]);
}
