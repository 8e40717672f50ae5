/** thinlayer-cvmfs, thinlayerd and both are killed while 16 containers read: no hang, nothing dead is left, new ones run. */

import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';

import { FQRN, serveThin, thinDescriptor } from '../cvmfs/thin-repository.js';
import type { Daemon as Process } from '../system/jail.js';
import { waitFor } from '../system/process.js';
import { archiveOf } from './archives.js';
import { cannotRun, cannotRunCerns } from './daemon.js';
import type { Daemon } from './daemon.js';
import { startThin } from './thin-daemon.js';

const CONTAINERS = 16;
/** Ends when a read fails, and says with what. */
const READER = `
import os, sys, time
while True:
    for name in ('app/run.sh', 'app'):
        try:
            if os.path.isdir(name): os.listdir(name)
            else:
                fd = os.open(name, os.O_RDONLY)
                os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
                os.read(fd, 1 << 20)
                os.close(fd)
        except OSError as error:
            print(error.errno, flush=True)
            sys.exit(0)
    print('read', flush=True)
    time.sleep(0.1)
`;
/** Their processes in the jail: this shell's own command line is none of them. */
const CLIENTS = `pgrep -f 'bin/thinlayer-cvmfs[.]js'`;
const ENOTCONN = '107';
const ECONNABORTED = '103';
const EIO = '5';

class Readers {
  readonly daemon: Daemon;
  readonly #processes: Process[] = [];

  constructor(daemon: Daemon) {
    this.daemon = daemon;
  }

  async start(): Promise<void> {
    for (let n = 0; n < CONTAINERS; ++n) {
      await this.daemon.client.createReadWrite(`c${n}`, 'image');
      const merged = await this.daemon.client.get(`c${n}`);
      const command = ['sh', '-c', `cd '${merged}' && exec python3 -c "$READER"`];
      const process = await this.daemon.jail.start({
        name: `c${n}`,
        command,
        log: this.#log(n),
        env: { READER },
      });
      this.#processes.push(process);
    }
    await this.untilAll('to read', (words) => words.includes('read'));
  }

  /** What each of them has said so far. */
  async untilAll(what: string, isSo: (words: string[]) => boolean): Promise<string[][]> {
    return await waitFor(`all containers ${what}`, async () => {
      const texts = await Promise.all(this.#processes.map((_, n) => readFile(this.#log(n), 'utf8')));
      const words = texts.map((text) => text.split('\n').filter((word) => word !== ''));
      return words.every(isSo) ? words : undefined;
    });
  }

  async end(): Promise<void> {
    await Promise.all(this.#processes.map((process) => process.stop('SIGKILL')));
    for (let n = 0; n < CONTAINERS; ++n) {
      await this.daemon.client.put(`c${n}`);
      await this.daemon.client.remove(`c${n}`);
    }
  }

  #log(n: number): string {
    return this.daemon.path(`c${n}.log`);
  }
}

async function withReaders(
  source: string,
  body: (daemon: Daemon, readers: Readers) => Promise<void>,
): Promise<void> {
  await using started = await startThin([`cvmfs.mount=${source}`]);
  const { daemon } = started;
  await daemon.client.create('image');
  const contents = await thinDescriptor();
  await daemon.client.applyDiff('image', '', await archiveOf([{ name: 'thin.json', contents }]));
  const readers = new Readers(daemon);
  await readers.start();
  await body(daemon, readers);
}

/** In the jail. */
async function clientPid(daemon: Daemon): Promise<string> {
  const mountpoint = join(daemon.home, 'cvmfs', FQRN);
  return await daemon.jail.run([
    'python3',
    '-c',
    `import os; print(os.getxattr('${mountpoint}', 'user.pid').decode(), end='')`,
  ]);
}

async function killClient(daemon: Daemon): Promise<void> {
  await daemon.jail.run(['kill', '-KILL', await clientPid(daemon)]);
}

/** A new container runs, as soon as the repository is mounted again. */
async function assertNewRuns(daemon: Daemon): Promise<void> {
  await daemon.client.createReadWrite('new', 'image');
  const merged = await waitFor('a new container', () => daemon.client.get('new').catch(() => undefined));
  assert.match(await readFile(join(daemon.inside(merged), 'app/run.sh'), 'utf8'), /^#!/);
}

/** A container that is stopped and started again is a Put and a Get; `docker restart` sends a Get first. */
async function assertRestartedRuns(daemon: Daemon): Promise<void> {
  await daemon.client.put('c0');
  for (const id of ['c0', 'c1']) {
    const merged = await daemon.client.get(id);
    assert.match(await readFile(join(daemon.inside(merged), 'app/run.sh'), 'utf8'), /^#!/);
  }
  await daemon.client.put('c1');
  assert.ok((await daemon.mounts()).includes(join(daemon.home, 'c1', 'merged')), 'it has one use yet');
  const causes = await stranded(daemon);
  assert.ok(!causes.includes('c0') && !causes.includes('c1'));
}

/** Containers that have to be restarted. */
async function stranded(daemon: Daemon): Promise<string[]> {
  return (await daemon.layers()).filter(({ cause }) => cause !== null).map(({ id }) => String(id));
}

async function assertNothingDead(daemon: Daemon): Promise<void> {
  const points = await daemon.jail.mounts();
  const mountpoint = join(daemon.home, 'cvmfs', FQRN);
  assert.equal(points.filter((point) => point === mountpoint).length, 1, 'the dead mount is gone');
  const states = await daemon.jail.run(['sh', '-c', 'cat /proc/[0-9]*/stat 2>/dev/null || true']);
  const dead = states.split('\n').filter((line) => /^\d+ \((node|thinlayer[^)]*)\) Z/.test(line));
  assert.deepEqual(dead, []);
}

async function assertEnds(daemon: Daemon, readers: Readers): Promise<void> {
  await readers.end();
  await daemon.client.put('new');
  for (const id of ['new', 'image']) await daemon.client.remove(id);
  assert.deepEqual(await daemon.mounts(), []);
}

/** `CLIENT` in the name stands for who mounts: our own process, and CERN's binary where it is installed. */
function killTest(name: string, body: (daemon: Daemon, readers: Readers) => Promise<void>): void {
  void test(name.replace('CLIENT', 'thinlayer-cvmfs'), { skip: cannotRun }, () =>
    withReaders('embedded', body),
  );
  void test(name.replace('CLIENT', "CERN's cvmfs2"), { skip: cannotRunCerns }, () =>
    withReaders('cvmfs2', body),
  );
}

killTest(
  'CLIENT is killed: its containers get an error, others run on a mount that is made anew',
  async (daemon, readers) => {
    await killClient(daemon);
    const words = await readers.untilAll('to fail', (said) => said.at(-1) !== 'read');
    for (const said of words)
      assert.ok([ENOTCONN, ECONNABORTED, EIO].includes(said.at(-1) ?? ''), said.join(' '));
    await assertNewRuns(daemon);
    await assertNothingDead(daemon);
    assert.match(
      await readFile(daemon.path('thinlayerd.log'), 'utf8'),
      /served the repository thin\.example\.org ended; /,
    );
    assert.equal(
      (await stranded(daemon)).length,
      CONTAINERS,
      'each container that has to be restarted is told',
    );
    await assertRestartedRuns(daemon);
    await assertEnds(daemon, readers);
  },
);

killTest(
  'thinlayerd is killed: its containers read on by CLIENT, and the next one knows them',
  async (daemon, readers) => {
    const pid = await clientPid(daemon);
    await daemon.kill9();
    const before = await readers.untilAll('to go on', () => true);
    await readers.untilAll(
      'to go on',
      (said) => said.length > Math.max(...before.map(({ length }) => length)),
    );
    await daemon.launch();
    await assertNewRuns(daemon);
    assert.equal(await clientPid(daemon), pid);
    await assertNothingDead(daemon);
    await readers.untilAll('to go on', (said) => said.at(-1) === 'read');
    await assertEnds(daemon, readers);
  },
);

killTest(
  'both thinlayerd and CLIENT are killed: its containers get an error, and the next daemon makes the mount anew',
  async (daemon, readers) => {
    await daemon.kill9();
    await killClient(daemon);
    await readers.untilAll('to fail', (said) => said.at(-1) !== 'read');
    await daemon.launch();
    await assertNewRuns(daemon);
    await assertNothingDead(daemon);
    assert.equal((await stranded(daemon)).length, CONTAINERS, 'the next daemon tells of them as well');
    await assertRestartedRuns(daemon);
    await assertEnds(daemon, readers);
  },
);

test(
  'thinlayerd is killed twice while thinlayer-cvmfs mounts: the next one waits for it',
  { skip: cannotRun },
  async () => {
    let answer = (): Promise<void> => Promise.resolve();
    await using started = await startThin([], { CVMFS_TIMEOUT_DIRECT: '600' }, async (jail) => {
      const pipe = join(jail.directory, 'answer');
      await jail.run(['mkfifo', pipe]);
      await serveThin(jail, undefined, pipe);
      answer = () => writeFile(pipe, '');
    });
    const { daemon } = started;
    await daemon.client.create('image');
    const contents = await thinDescriptor();
    await daemon.client.applyDiff('image', '', await archiveOf([{ name: 'thin.json', contents }]));
    const clients = async () => (await daemon.jail.run(['sh', '-c', `${CLIENTS} || true`])).trim();
    const first = await waitFor('a client', async () => (await clients()) || undefined);
    await daemon.client.createReadWrite('c', 'image');
    for (let n = 0; n < 2; ++n) {
      await daemon.kill9();
      await daemon.launch();
      void daemon.client.get('c').catch(() => undefined);
      // Answered once the home is open.
      await daemon.layers();
    }
    assert.equal(await clients(), first);
    await answer();
    const merged = await daemon.client.get('c');
    assert.match(await readFile(join(daemon.inside(merged), 'app/run.sh'), 'utf8'), /^#!/);
    assert.equal(await clientPid(daemon), first);
    await assertNothingDead(daemon);
  },
);
