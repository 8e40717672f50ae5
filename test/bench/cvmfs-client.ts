/** The embedded client beside the local disk with the same tree, and beside CERN's client where that is installed. */

import { readFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { findProgram } from '../../src/cvmfs/cvmfs2-command.js';
import { check } from '../system/process.js';
import { ClientLab, dropCaches, FIRST_FILE, LARGE_FILE_BYTES } from './client-lab.js';
import { compare, elapsed, median, printTable } from './measure.js';
import type { Row, Subject } from './measure.js';
import type { Memory } from './mounted-client.js';

const ROUNDS = 5;
const SMALL_READS = 100;
const STARTS = 5;
/** thinlayer-cvmfs gives memory back at its second look, ten seconds apart, at which it finds nothing to do. */
const REST_MS = 25_000;
const LOCAL = 'local disk';
const CACHED = "a small file, the kernel's caches dropped";

export async function benchClient(): Promise<void> {
  if (findProgram('cvmfs2') === null)
    console.log("\nCERN's cvmfs2 is not installed: the local disk is the only peer");
  for (const [files, rounds] of [
    [5_000, ROUNDS],
    [100_000, 3],
  ] as const) {
    await using lab = await ClientLab.start(files);
    const memory = new Map(lab.clients.map(({ label }) => [label, [] as string[]]));
    const note = async () => {
      for (const client of lab.clients) memory.get(client.label)?.push(mib(await client.memory()));
    };
    await note();
    for (const { mounted } of lab.clients) await walk(mounted);
    await note();
    await delay(REST_MS);
    await note();
    await lab.copyTree();
    const rows = [...(await wholeTrees(lab, rounds)), await cold(lab)];
    await note();
    if (files === 5_000) rows.push(...(await single(lab)));
    printTable(`Clients of CVMFS, ${files.toLocaleString('en')} files`, rows);
    for (const [label, [first, walked, rested, read]] of memory)
      console.log(
        `${label}: memory ${first} at first, ${walked} after a walk, ${rested} ${REST_MS / 1000} s later, ${read} after all was read`,
      );
  }
}

function mib({ resident, own }: Memory): string {
  return `${resident.toFixed(0)} MiB (${own.toFixed(0)} MiB its own)`;
}

/** A walk that reads all attributes, and an archive of everything. */
async function wholeTrees(lab: ClientLab, rounds: number): Promise<Row[]> {
  const subjects: Subject<string>[] = [
    { label: LOCAL, subject: lab.copy },
    ...lab.clients.map(({ label, mounted }) => ({ label, subject: mounted })),
  ];
  const rows: Row[] = [];
  for (const [name, work] of [
    ['find -printf', walk],
    ['tar of everything', tar],
  ] as const) {
    const kept = { name: `${name}, kernel caches kept`, unit: 'ms', rounds };
    // The kernel keeps attributes for a minute, less than a round of all may take.
    rows.push(await compare(kept, subjects, (tree) => work(tree).then(() => elapsed(() => work(tree)))));
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
  const values = new Map([[LOCAL, await elapsed(() => tar(lab.copy))]]);
  for (const client of lab.clients) {
    await client.forget();
    await client.mount(FIRST_FILE);
    await dropCaches();
    values.set(client.label, await elapsed(() => tar(client.mounted)));
  }
  return { name: 'tar of everything, cold', unit: 'ms', values };
}

/** What a start waits for: medians of each client, with no cache. */
async function single(lab: ClientLab): Promise<Row[]> {
  const rows = new Map<string, Map<string, number>>();
  const note = (name: string, label: string, value: number) =>
    rows.set(name, (rows.get(name) ?? new Map<string, number>()).set(label, value));
  for (const client of lab.clients) {
    const { label, mounted } = client;
    const [starts, refreshes]: [number[], number[]] = [[], []];
    for (let round = 0; round < STARTS; round++) {
      await client.forget();
      starts.push(await elapsed(() => client.mount(FIRST_FILE)));
      lab.change();
      refreshes.push(await elapsed(() => client.refresh()));
    }
    note('mount to the first file read', label, median(starts));
    note('refresh to a new revision', label, median(refreshes));
    note('a small file, cold', label, median(readSmall(mounted)));
    await dropCaches();
    note(CACHED, label, median(readSmall(mounted)));
    const large = `${LARGE_FILE_BYTES >> 20} MiB in chunks, cold`;
    note(large, label, await elapsed(() => readThrough(join(mounted, 'large'))));
  }
  await dropCaches();
  note(CACHED, LOCAL, median(readSmall(lab.copy)));
  return [...rows].map(([name, values]) => ({ name, unit: 'ms', values }));
}

/** Milliseconds of each, by this thread alone: to hand each step to another costs as much as a read. */
function readSmall(tree: string): number[] {
  return Array.from({ length: SMALL_READS }, (_, i) => {
    const start = performance.now();
    readFileSync(join(tree, `d20/f${i}`));
    return performance.now() - start;
  });
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
