import assert from 'node:assert/strict';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { labTest } from './lab-test.js';
import { importBusybox } from './images.js';
import { layerDirectories } from './layers.js';
import { listTree } from './tree-listing.js';
import { makeLayer, writeImageArchive } from './image-archive.js';
import { pruneAll } from './nothing-left.js';
import { check } from './process.js';
import type { Lab } from './lab.js';

const DOCKERFILE = `FROM busybox AS first
ENV A=1
WORKDIR /app
COPY file /app/
COPY folder /app/folder
ADD archive.tar /unpacked/
RUN rm /data/one
RUN rm -rf /data && mkdir /data && echo replaced > /data/new
RUN echo log > /app/log && chmod 4755 /app/log
RUN mv /app/folder /app/moved
RUN touch -d '2001-02-03 04:05:06' /app/file
RUN ln -s moved /app/link && ln /app/file /app/hard
RUN chown -R 1000:1000 /app/moved
FROM busybox
COPY --from=first /app /app
COPY --from=first /data /data
RUN rm -r /etc/group
CMD ["sh"]
`;

const FIRST = ['/app/file', '/app/hard', '/app/link', '/app/log', '/app/moved/deep/name', '/data/new'];
const STAT = 'stat -c "%n %a %u:%g %h" /app/file /app/log /app/moved/deep/name';
const STATS = ['/app/file 644 0:0 2', '/app/log 4755 0:0 1', '/app/moved/deep/name 644 1000:1000 1'];

const LAYERS = 125;

labTest('images are built', {}, async (lab, step) => {
  await step('setup', async () => {
    await importBusybox(lab);
    await makeContext(lab.path('context'));
  });
  await step("Docker's own builder", () => checkBuild(lab, '0'));
  await step('BuildKit', () => checkBuild(lab, '1'));
  await step('a replaced directory is opaque on disk, a removed file a whiteout', () =>
    checkOverlayForm(lab),
  );
  await step('--squash compares with a layer several below', () => checkSquash(lab));
  await step(`an image of ${LAYERS} layers runs`, () => checkDeepImage(lab));
  await step('nothing is left', () => pruneAll(lab));
});

async function makeContext(context: string): Promise<void> {
  await mkdir(`${context}/folder/deep`, { recursive: true });
  await writeFile(`${context}/Dockerfile`, DOCKERFILE);
  await writeFile(`${context}/file`, 'file\n');
  await writeFile(`${context}/folder/deep/name`, 'name\n');
  await check('tar', ['-C', `${context}/folder`, '-cf', `${context}/archive.tar`, '.']);
}

async function checkBuild(lab: Lab, buildkit: '0' | '1'): Promise<void> {
  const env = { DOCKER_BUILDKIT: buildkit };
  const first = `first${buildkit}`;
  const last = `last${buildkit}`;
  const build = (...args: string[]) =>
    lab.dockerWith({ env }, 'build', '--network=none', ...args, lab.path('context'));
  await build('-t', first, '--target', 'first');
  await build('-t', last);
  const find = 'find /app /data ! -type d | sort; ' + STAT;
  const run = (image: string) => lab.docker('run', '--rm', image, 'sh', '-c', find);
  assert.deepEqual((await run(first)).split('\n'), [...FIRST, ...STATS]);
  const unpacked = await lab.docker('run', '--rm', first, 'cat', '/unpacked/deep/name');
  assert.equal(unpacked, 'name');
  const files = [...FIRST, '/data/one', '/data/three', '/data/two'];
  assert.deepEqual((await run(last)).split('\n'), [...files, ...STATS]);
  const group = await lab.tryDocker({}, 'run', '--rm', last, 'cat', '/etc/group');
  assert.match(group.stderr, /No such file/);
}

async function checkOverlayForm(lab: Lab): Promise<void> {
  const listings = await Promise.all((await layerDirectories(lab, 'first0')).map((d) => listTree(d)));
  const lines = listings.flat();
  const whiteout = lines.filter((line) => line.startsWith('data/one ') && line.includes(' dev 0'));
  const opaque = lines.filter(
    (line) => line.startsWith('data ') && line.includes('trusted.overlay.opaque=0x79'),
  );
  assert.equal(whiteout.length, 1);
  assert.equal(opaque.length, 1);
}

async function checkSquash(lab: Lab): Promise<void> {
  const dockerfile = 'FROM busybox\nRUN touch /x1\nRUN rm /x1 /data/one\nRUN touch /x2\n';
  await lab.dockerWith({ input: dockerfile }, 'build', '--squash', '-t', 'squashed', '-');
  const listed = await lab.docker('run', '--rm', 'squashed', 'sh', '-c', 'ls -d /x* /data/*');
  assert.equal(listed, '/data/three\n/data/two\n/x2');
  const layers = await layerDirectories(lab, 'squashed');
  assert.equal(layers.length, 2);
}

async function checkDeepImage(lab: Lab): Promise<void> {
  const archive = lab.path('deep.tar');
  const shell = lab.path('busybox-tree/bin/busybox');
  const layers = [await makeLayer([{ name: 'bin' }, { name: 'bin/sh', contents: await readFile(shell) }])];
  for (let index = 1; index < LAYERS; index++) layers.push(await deepLayer(index));
  await writeImageArchive(archive, 'deep:latest', layers);
  await lab.docker('load', '-i', archive);
  await rm(archive);
  const seen = await lab.docker(
    'run',
    '--rm',
    'deep',
    '/bin/sh',
    '-c',
    'set -- /deep/*; echo $#; read -r x < /same; echo $x',
  );
  // Each layer adds a file, and every tenth deletes the one added before.
  assert.equal(seen, `${LAYERS - 1 - 12}\n${LAYERS - 1}`);
}

function deepLayer(index: number): Promise<Buffer> {
  const own = [
    { name: `deep/${index}`, contents: '' },
    { name: 'same', contents: `${index}\n` },
  ];
  if (index % 10 === 0) own.push({ name: `deep/.wh.${index - 1}`, contents: '' });
  return makeLayer([{ name: 'deep' }, ...own]);
}
