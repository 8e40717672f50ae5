/** Whole layers: unpacked, packed again and compared, and what that costs in memory. */

import { endlessStream, manyFiles, oneFile } from './archives.js';
import { newId } from './calls.js';
import { compare, elapsed, printTable } from './measure.js';
import { O2SERVE, THINLAYER, withPeers } from './peer.js';
import { settled } from './settle.js';
import type { Archive } from './archives.js';
import type { Row, Subject } from './measure.js';
import type { Peer } from './peer.js';

const ROUNDS = 3;
/** What the disk does varies more than what the drivers do. */
const LARGE_ROUNDS = 5;
const STREAM_MIB = 4096;
const MIB = 1 << 20;

const KINDS = [O2SERVE, THINLAYER];

/** ApplyDiff and Diff of small files, of a large one, and of many empty ones. */
export async function benchLayers(): Promise<void> {
  await withPeers(KINDS, async (peers, scratch) => {
    const rows: Row[] = [
      ...(await applyAndDiff(peers, await manyFiles(scratch, '20,000 files, 190 MB', 20_000, 9500), ROUNDS)),
      ...(await applyAndDiff(peers, await oneFile(scratch, 'one file, 1 GiB', 1024), LARGE_ROUNDS)),
      ...(await applyAndDiff(peers, await manyFiles(scratch, '100,000 empty files', 100_000, 0), ROUNDS)),
    ];
    printTable('Whole layers', rows);
  });
}

/** Changes and DiffSize of a layer that replaces 10,000 of its parent's 100,000 files. */
export async function benchChanges(): Promise<void> {
  await withPeers(KINDS, async (peers, scratch) => {
    const base = await manyFiles(scratch, 'base', 100_000, 10);
    const changed = await manyFiles(scratch, 'changed', 10_000, 20);
    const subjects: Subject<{ peer: Peer; pair: object }>[] = [];
    for (const peer of peers) {
      const parent = await apply(peer, base, '');
      const pair = { ID: await apply(peer, changed, parent), Parent: parent };
      subjects.push({ label: peer.kind.label, subject: { peer, pair } });
    }
    const rows: Row[] = [];
    for (const method of ['Changes', 'DiffSize']) {
      const row = { name: `${method}, 10,000 of 100,000 files`, unit: 'ms', rounds: ROUNDS };
      rows.push(
        await compare(row, subjects, ({ peer, pair }) => elapsed(() => peer.client.call(method, pair))),
      );
    }
    printTable('Comparisons', rows);
  });
}

/** The highest resident memory while a layer of 4 GiB streams in. */
export async function benchMemory(): Promise<void> {
  await withPeers(KINDS, async (peers) => {
    const row = {
      name: `${STREAM_MIB / 1024} GiB streamed into ApplyDiff, peak RSS`,
      unit: 'MiB',
      rounds: 1,
    };
    const subjects = peers.map((peer) => ({ label: peer.kind.label, subject: peer }));
    const measured = await compare(row, subjects, async (peer) => {
      const id = newId();
      await peer.client.call('Create', { ID: id });
      await peer.forgetPeak();
      await peer.client.applyDiff(id, '', endlessStream(STREAM_MIB));
      const { peak } = await peer.memory();
      await peer.client.call('Remove', { ID: id });
      return peak / MIB;
    });
    printTable('Memory', [measured]);
  });
}

/**
 * Layers stay until all are measured: ext4 gives no inode away that was deleted within the last minutes, and reads each that
 * it passes over from the disk (`recently_deleted` in its ialloc.c).
 */
async function applyAndDiff(peers: readonly Peer[], archive: Archive, rounds: number): Promise<Row[]> {
  const subjects = peers.map((peer) => ({ label: peer.kind.label, subject: peer }));
  const made = new Map(peers.map((peer) => [peer, [] as string[]]));
  const applied = await compare(
    { name: `ApplyDiff, ${archive.name}`, unit: 'ms', rounds },
    subjects,
    async (peer) => {
      await settled(peer.home);
      const id = newId();
      made.get(peer)?.push(id);
      await peer.client.call('Create', { ID: id });
      return elapsed(() => peer.client.applyDiff(id, '', archive.open()));
    },
  );
  const diffed = await compare({ name: `Diff, ${archive.name}`, unit: 'ms', rounds }, subjects, (peer) =>
    elapsed(() => peer.client.diff(made.get(peer)?.at(-1) ?? '', '')),
  );
  for (const [peer, ids] of made) {
    for (const id of ids) await peer.client.call('Remove', { ID: id });
  }
  return [applied, diffed];
}

async function apply(peer: Peer, archive: Archive, parent: string): Promise<string> {
  const id = newId();
  await peer.client.call('Create', { ID: id, ...(parent === '' ? {} : { Parent: parent }) });
  await peer.client.applyDiff(id, parent, archive.open());
  return id;
}
