/** Many layers on disk: how soon the daemon serves them, and how much memory it takes. */

import { newId } from './calls.js';
import { printTable } from './measure.js';
import { O2SERVE, THINLAYER, withPeers } from './peer.js';
import type { Peer } from './peer.js';

const LAYERS = 10_000;
const CHAIN = 10;
const CALLERS = 16;
const MIB = 1 << 20;

export async function benchStart(): Promise<void> {
  const ready = new Map<string, number>();
  const memory = new Map<string, number>();
  await withPeers([O2SERVE, THINLAYER], async (peers) => {
    for (const peer of peers) {
      const last = await makeLayers(peer);
      ready.set(peer.kind.label, await peer.restart(last));
      memory.set(peer.kind.label, (await peer.memory()).now / MIB);
    }
  });
  printTable(`${LAYERS} layers on disk, in chains of ${CHAIN}`, [
    { name: 'from the start of the daemon to the first answer', unit: 'ms', values: ready },
    { name: 'RSS then', unit: 'MiB', values: memory },
  ]);
}

async function makeLayers(peer: Peer): Promise<string> {
  let chains = LAYERS / CHAIN;
  let last = '';
  const caller = async () => {
    while (chains-- > 0) last = await makeChain(peer);
  };
  await Promise.all(Array.from({ length: CALLERS }, caller));
  return last;
}

async function makeChain(peer: Peer): Promise<string> {
  let top = '';
  for (let depth = 0; depth < CHAIN; depth++) {
    const id = newId();
    await peer.client.call('Create', { ID: id, ...(top === '' ? {} : { Parent: top }) });
    top = id;
  }
  return top;
}
