/** Whole docker commands on each driver, the one built into dockerd among them. */

import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { makeLayer, writeImageArchive } from '../system/image-archive.js';
import { importBusybox } from '../system/images.js';
import { Lab } from '../system/lab.js';
import { startRegistry } from '../system/registry.js';
import { compare, elapsed, printTable } from './measure.js';
import { settled } from './settle.js';
import type { DriverName } from '../system/drivers.js';
import type { Row, Subject } from './measure.js';

const DRIVERS: readonly DriverName[] = ['o2serve', 'overlay2', 'thinlayer'];
const ROUNDS = 5;
const IMAGES = 6;
const LAYERS = 8;
const FILES = 300;
const FILE_BYTES = 20_000;

const DOCKERFILE = `FROM busybox
COPY . /context
RUN rm /data/one
RUN rm -rf /data && mkdir /data
RUN cp -r /context /copy
RUN mv /copy /moved
`;

export async function benchDocker(): Promise<void> {
  await withLabs(async (labs) => {
    for (const { subject: lab } of labs) await prepare(lab);
    const rows: Row[] = [];
    const each = async (
      name: string,
      work: (lab: Lab) => Promise<unknown>,
      undo: (lab: Lab) => Promise<unknown>,
    ) => {
      const measure = async (lab: Lab) => {
        const time = await elapsed(() => work(lab));
        await undo(lab);
        return time;
      };
      rows.push(await compare({ name, unit: 'ms', rounds: ROUNDS }, labs, measure));
    };
    await each(
      'docker load, 8 layers',
      (lab) => lab.docker('load', '-q', '-i', lab.path('i0.tar')),
      remove('image0'),
    );
    await each('docker run', (lab) => lab.docker('run', '--rm', 'busybox', 'true'), nothing);
    await each('docker build', build, remove('built'));
    for (const { subject: lab } of labs) await lab.docker('load', '-q', '-i', lab.path('i0.tar'));
    await each(
      'docker save, 8 layers',
      (lab) => lab.docker('save', '-o', lab.path('out.tar'), 'image0'),
      nothing,
    );
    printTable('Docker commands', rows);
  });
}

/** Six images of eight layers each, pulled at once from a registry on the same machine. */
export async function benchPull(): Promise<void> {
  await withLabs(async (labs) => {
    for (const { subject: lab } of labs) await fillRegistry(lab);
    const row = { name: `${IMAGES} images × ${LAYERS} layers pulled at once`, unit: 'ms', rounds: ROUNDS };
    const measured = await compare(row, labs, async (lab) => {
      const names = imageNames('127.0.0.1:5000/');
      await settled(lab.home);
      const time = await elapsed(() => Promise.all(names.map((name) => lab.docker('pull', '-q', name))));
      await lab.docker('rmi', ...names);
      return time;
    });
    printTable('Concurrent pulls', [measured]);
  });
}

async function withLabs(body: (labs: Subject<Lab>[]) => Promise<void>): Promise<void> {
  const labs: Subject<Lab>[] = [];
  try {
    for (const driver of DRIVERS) labs.push({ label: driver, subject: await Lab.start({ driver }) });
    await body(labs);
  } finally {
    for (const { subject } of labs) await subject.close();
  }
}

async function prepare(lab: Lab): Promise<void> {
  await importBusybox(lab);
  await writeImageArchive(lab.path('i0.tar'), 'image0:latest', await makeLayers(0));
  await writeFile(lab.path('busybox-tree/Dockerfile'), DOCKERFILE);
}

function build(lab: Lab): Promise<string> {
  return lab.docker('build', '-q', '--no-cache', '-t', 'built', lab.path('busybox-tree'));
}

async function fillRegistry(lab: Lab): Promise<void> {
  const registry = await startRegistry(lab.jail);
  for (const [index, name] of imageNames(`${registry}/`).entries()) {
    await writeImageArchive(lab.path('image.tar'), `${name}:latest`, await makeLayers(index));
    await lab.docker('load', '-q', '-i', lab.path('image.tar'));
    await lab.docker('push', '-q', name);
    await lab.docker('rmi', name);
  }
}

function imageNames(prefix: string): string[] {
  return Array.from({ length: IMAGES }, (_, index) => `${prefix}image${index}`);
}

/** Layers that no other image shares. Half of each file compresses well, as real files do. */
function makeLayers(image: number): Promise<Buffer[]> {
  const layer = (index: number) => {
    const files = Array.from({ length: FILES }, (_, file) => ({
      name: `i${image}l${index}/f${file}`,
      contents: Buffer.concat([randomBytes(FILE_BYTES / 2), Buffer.alloc(FILE_BYTES / 2)]),
    }));
    return makeLayer([{ name: `i${image}l${index}` }, ...files]);
  };
  return Promise.all(Array.from({ length: LAYERS }, (_, index) => layer(index)));
}

function remove(image: string): (lab: Lab) => Promise<unknown> {
  return (lab) => lab.docker('rmi', image);
}

function nothing(): Promise<void> {
  return Promise.resolve();
}
