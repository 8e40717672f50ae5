/** Thin images beside ordinary ones, over a link of 100 Mbit/s. */

import { createReadStream } from 'node:fs';
import { check } from '../system/process.js';
import { pluginSocket } from '../system/drivers.js';
import { newId } from './calls.js';
import { PluginClient } from './client.js';
import { elapsed, median } from './measure.js';
import { FAT, THIN, ThinLab } from './thin-lab.js';
import type { Latency } from './thin-lab.js';

const ROUNDS = 3;
const CONTAINERS = 32;
const ATTACHES = 200;
const HELLO = ['python3', '-c', 'print("hello")'];

export async function benchThin(): Promise<void> {
  await using thin = await ThinLab.start();
  await coldStart(thin);
  await secondStart(thin);
  await manyAtOnce(thin);
  await attach(thin);
}

interface Taken {
  readonly ms: number;
  readonly bytes: number;
}

/** Medians. */
async function measured(
  thin: ThinLab,
  work: () => Promise<unknown>,
  between: () => Promise<unknown>,
): Promise<Taken> {
  const taken: Taken[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    await between();
    const before = await thin.bytes();
    const ms = await elapsed(work);
    taken.push({ ms, bytes: (await thin.bytes()) - before });
  }
  return { ms: median(taken.map(({ ms }) => ms)), bytes: median(taken.map(({ bytes }) => bytes)) };
}

function run(thin: ThinLab, image: string): Promise<string> {
  return thin.lab.docker('run', '--rm', '--network=none', image, ...HELLO);
}

function title(text: string): void {
  console.log(`\n${text}`);
}

function row(name: string, { ms, bytes }: Taken): void {
  console.log(
    `${name.padEnd(56)} ${ms.toFixed(0).padStart(7)} ms ${(bytes / 1e6).toFixed(2).padStart(7)} MB`,
  );
}

async function coldStart(thin: ThinLab): Promise<void> {
  const { lab } = thin;
  const after = (between: () => Promise<unknown>) => measured(thin, () => run(thin, THIN), between);
  const cold = await after(() => thin.forget('nothing', 0));
  const foretold = await after(() => thin.forget('profiles', 0));
  const mounted = await after(() => thin.emptyCache('nothing'));
  const both = await after(() => thin.emptyCache('profiles'));
  const warm = await after(() => Promise.resolve());
  const pulledAndRun = (image: string, between: () => Promise<unknown>) =>
    measured(
      thin,
      () => lab.docker('pull', '-q', image).then(() => run(thin, image)),
      () => lab.docker('rmi', image).then(between),
    );
  const pulledThin = await pulledAndRun(THIN, () => thin.forget('nothing', 0));
  await lab.docker('pull', '-q', FAT);
  const pull = await pulledAndRun(FAT, () => Promise.resolve());
  title('python3 says hello, over 100 Mbit/s');
  row('thin image, cold: no cache, repository not mounted', cold);
  row('… with the profile that another machine recorded', foretold);
  row('… with the repository mounted already, no profile', mounted);
  row('… with both', both);
  row('thin image, warm', warm);
  row('thin image, docker pull and run, with nothing of it here', pulledThin);
  row('ordinary image, docker pull and run', pull);
  const percent = ((100 * cold.bytes) / pull.bytes).toFixed(1);
  const times = [cold, foretold, mounted, both, pulledThin].map(({ ms }) => `${(pull.ms / ms).toFixed(1)} ×`);
  console.log(
    `the cold starts are ${times.join(', ')} (docker pull and run) as fast as the pull, with ${percent} % of its bytes`,
  );
}

async function secondStart(thin: ThinLab): Promise<void> {
  const latency: Latency = 20;
  const starts = async (forget: (keep: 'nothing' | 'profiles') => Promise<void>) => {
    await thin.forget('nothing', latency);
    await run(thin, THIN);
    const withProfile = await measured(
      thin,
      () => run(thin, THIN),
      () => forget('profiles'),
    );
    const without = await measured(
      thin,
      () => run(thin, THIN),
      () => forget('nothing'),
    );
    return { withProfile, without };
  };
  const unmounted = await starts((keep) => thin.forget(keep, latency));
  const mounted = await starts((keep) => thin.emptyCache(keep));
  title(`The same with an empty cache, ${latency} ms of latency added to the server`);
  for (const [name, { withProfile, without }] of Object.entries({ unmounted, mounted })) {
    row(`repository ${name}, no profile`, without);
    row(`repository ${name}, with the profile`, withProfile);
    console.log(`with the profile ${(without.ms / withProfile.ms).toFixed(2)} × as fast`);
  }
}

async function manyAtOnce(thin: ThinLab): Promise<void> {
  const all = (image: string) => Promise.all(Array.from({ length: CONTAINERS }, () => run(thin, image)));
  const forget = () => thin.forget('nothing', 0);
  const one = await measured(thin, () => run(thin, THIN), forget);
  let most = 0;
  const many = await measured(
    thin,
    async () => {
      await thin.requests();
      await all(THIN);
      const counts = new Map<string, number>();
      for (const path of await thin.requests()) counts.set(path, (counts.get(path) ?? 0) + 1);
      most = Math.max(most, ...counts.values());
    },
    forget,
  );
  const nothing = () => Promise.resolve();
  const fatOne = await measured(thin, () => run(thin, FAT), nothing);
  const fatMany = await measured(thin, () => all(FAT), nothing);
  title(`${CONTAINERS} containers at once`);
  row('one thin container, cold', one);
  row(`${CONTAINERS} thin containers, cold`, many);
  row('one container of the ordinary image, pulled before', fatOne);
  row(`${CONTAINERS} containers of the ordinary image`, fatMany);
  console.log(
    `${CONTAINERS} thin ones take ${(many.ms / one.ms).toFixed(2)} × as long as one (ordinary: ${(fatMany.ms / fatOne.ms).toFixed(2)} ×); ` +
      `no object was fetched more often than ${most} ×`,
  );
}

/** Get of a container's layer alone, on the driver's socket. */
async function attach({ lab }: ThinLab): Promise<void> {
  const client = new PluginClient(pluginSocket(lab.jail));
  const trees = { thin: lab.path('far/image'), ordinary: lab.path('docker-config') };
  const times = { thin: [] as number[], ordinary: [] as number[] };
  const bases: Record<string, string> = {};
  for (const [name, tree] of Object.entries(trees)) {
    const tar = lab.path(`${name}.tar`);
    await check('tar', ['-C', tree, '-cf', tar, '.']);
    const base = (bases[name] = newId());
    await client.call('Create', { ID: base });
    await client.applyDiff(base, '', createReadStream(tar));
  }
  for (let round = 0; round < ATTACHES; round++) {
    for (const name of ['thin', 'ordinary'] as const) {
      const id = newId();
      await client.call('CreateReadWrite', { ID: id, Parent: bases[name] });
      times[name].push(await elapsed(() => client.call('Get', { ID: id })));
      await client.call('Put', { ID: id });
      await client.call('Remove', { ID: id });
    }
  }
  for (const base of Object.values(bases)) await client.call('Remove', { ID: base });
  client.close();
  const [own, other] = [median(times.thin), median(times.ordinary)];
  title('Attach of a container (Get), warm');
  console.log(
    `on a thin layer ${own.toFixed(2)} ms, on an ordinary one ${other.toFixed(2)} ms: ${(own - other).toFixed(2)} ms more`,
  );
}
