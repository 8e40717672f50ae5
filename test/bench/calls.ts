/** Single calls: how long one takes, and how fairly 64 callers are served at once. */

import { randomBytes } from 'node:crypto';
import { compare, elapsed, printTable, quantile } from './measure.js';
import { O2SERVE, THINLAYER, THINLAYER_OFF, withPeers } from './peer.js';
import type { Row, Subject } from './measure.js';
import type { Peer } from './peer.js';

/** Calls of one peer before the next has its turn: so short that what else the machine does falls on all of them. */
const BURST = 20;
const ROUNDS = 50;
/** Rounds before a row is measured: a daemon runs for weeks, and its compiler has seen each call after a few thousand. */
const WARM_UP = 100;
const FIRST = 200;
const CHAIN = 20;
const CALLERS = 64;

interface Prepared {
  readonly peer: Peer;
  /** A base layer, and the top of a chain of `CHAIN` layers. */
  readonly empty: string;
  readonly top: string;
}

export async function benchCalls(): Promise<void> {
  await warmClient();
  await withPeers([O2SERVE, THINLAYER, THINLAYER_OFF], async (peers) => {
    const subjects: Subject<Prepared>[] = [];
    for (const peer of peers) subjects.push({ label: peer.kind.label, subject: await prepare(peer) });
    const rows: Row[] = [await firstCalls(subjects)];
    const each = async (name: string, work: Work) => rows.push(await bursts(name, subjects, work));
    await each('Exists', ({ peer, empty }) => peer.client.call('Exists', { ID: empty }));
    await each('Get + Put, empty layer', ({ peer, empty }) => getPut(peer, empty));
    await each(`Get + Put, chain of ${CHAIN}`, ({ peer, top }) => getPut(peer, top));
    await each('CreateReadWrite, Get, Put, Remove', ({ peer, top }) => lifecycle(peer, top));
    for (const [name, q] of [
      ['p50', 0.5],
      ['p99', 0.99],
    ] as const) {
      const row = { name: `${CALLERS} callers of Get + Put, ${name}`, unit: 'ms', rounds: 5 };
      rows.push(await compare(row, subjects, async (on) => quantile(await callersAtOnce(on), q)));
    }
    printTable('Single calls', rows);
  });
}

type Work = (on: Prepared) => Promise<unknown>;

/** What one call takes: the median burst of each peer, in turns, after as many that only warm up. */
async function bursts(name: string, subjects: readonly Subject<Prepared>[], work: Work): Promise<Row> {
  const burst = async (on: Prepared) => (await elapsed(() => repeat(BURST, () => work(on)))) / BURST;
  await compare({ name, unit: 'ms', rounds: WARM_UP }, subjects, burst);
  return compare({ name, unit: 'ms', rounds: ROUNDS }, subjects, burst);
}

/** What a daemon that was just started takes for one call. */
function firstCalls(subjects: readonly Subject<Prepared>[]): Promise<Row> {
  const row = { name: `first ${FIRST} Get + Put of a fresh daemon`, unit: 'ms', rounds: 1 };
  return compare(row, subjects, async ({ peer, empty }) => {
    return (await elapsed(() => repeat(FIRST, () => getPut(peer, empty)))) / FIRST;
  });
}

/** On a peer of its own: else the first one measured would be charged with the compiling of this program. */
async function warmClient(): Promise<void> {
  await withPeers([O2SERVE], async ([peer]) => {
    if (!peer) return;
    const { empty } = await prepare(peer);
    await repeat(BURST * WARM_UP, () => getPut(peer, empty));
  });
}

async function prepare(peer: Peer): Promise<Prepared> {
  const empty = newId();
  await peer.client.call('Create', { ID: empty });
  let top = empty;
  for (let depth = 1; depth < CHAIN; depth++) {
    const id = newId();
    await peer.client.call('Create', { ID: id, Parent: top });
    top = id;
  }
  return { peer, empty, top };
}

async function getPut(peer: Peer, id: string): Promise<void> {
  await peer.client.call('Get', { ID: id });
  await peer.client.call('Put', { ID: id });
}

async function lifecycle(peer: Peer, parent: string): Promise<void> {
  const id = newId();
  await peer.client.call('CreateReadWrite', { ID: id, Parent: parent });
  await getPut(peer, id);
  await peer.client.call('Remove', { ID: id });
}

/** The milliseconds of each Get + Put when all callers ask for one layer, again and again. */
async function callersAtOnce({ peer, top }: Prepared): Promise<number[]> {
  const times: number[] = [];
  const caller = () => repeat(10, async () => void times.push(await elapsed(() => getPut(peer, top))));
  await Promise.all(Array.from({ length: CALLERS }, caller));
  return times;
}

async function repeat(times: number, work: () => Promise<unknown>): Promise<void> {
  for (let count = 0; count < times; count++) await work();
}

/** As dockerd makes them. */
export function newId(): string {
  return randomBytes(32).toString('hex');
}
