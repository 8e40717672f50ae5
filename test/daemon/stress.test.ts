/** Many calls at once, in all orders that dockerd may make them: right answers, no standstill, and nothing left. */

import assert from 'node:assert/strict';
import { access, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { contentsOf } from './archives.js';
import { daemonTest } from './daemon.js';
import { assertReadable, makeContainer, removeContainer, times, wholeLife } from './layers.js';
import { assertNothingLeft, openDescriptors } from './leaks.js';
import { Random } from './random.js';

const CHAINS = 200;
const CALLERS = 64;
const ROUNDS = 20;

daemonTest('200 images and containers at once live their whole lives', async (daemon) => {
  const before = await openDescriptors(daemon);
  await times(CHAINS, (index) => wholeLife(daemon, String(index)));
  await assertNothingLeft(daemon, before);
});

daemonTest(
  '64 callers attach and detach one layer: it is mounted as long as anybody uses it',
  async (daemon) => {
    const before = await openDescriptors(daemon);
    const random = new Random();
    await makeContainer(daemon, 'shared');
    const use = async () => {
      const merged = await daemon.client.get('shared');
      await assertReadable(daemon, merged);
      return merged;
    };
    await times(CALLERS, async () => {
      for (let round = 0; round < ROUNDS; round++) {
        const uses: string[] = [];
        for (let count = 1 + random.below(3); count > 0; count--) uses.push(await use());
        for (const merged of uses) {
          await assertReadable(daemon, merged);
          await daemon.client.put('shared');
        }
      }
    });
    assert.deepEqual(await daemon.mounts(), []);
    await assert.rejects(access(join(daemon.home, 'shared/merged')), { code: 'ENOENT' });
    await removeContainer(daemon, 'shared');
    await assertNothingLeft(daemon, before);
  },
);

daemonTest(
  "builds' COPY: a layer's diff flows into another layer while the first is attached and detached",
  async (daemon) => {
    const before = await openDescriptors(daemon);
    const { client } = daemon;
    await times(20, async (index) => {
      const [source, target] = [`source-${index}`, `target-${index}`];
      const base = await makeContainer(daemon, source);
      const merged = daemon.inside(await client.get(source));
      await writeFile(join(merged, 'copied'), Buffer.alloc(2 << 20, index));
      const archive = await client.diffStream(source, base);
      await client.create(target, base);
      const attaching = times(10, async () => {
        await assertReadable(daemon, await client.get(source));
        await client.put(source);
      });
      await Promise.all([client.applyDiff(target, base, archive), attaching]);
      await assertReadable(daemon, join(daemon.home, source, 'merged'));
      await client.put(source);
      const copied = await readFile(join(daemon.home, target, 'diff/copied'));
      assert.ok(copied.equals(Buffer.alloc(2 << 20, index)));
      await client.remove(target);
      await removeContainer(daemon, source);
    });
    await assertNothingLeft(daemon, before);
  },
);

daemonTest('Puts that belong to no Get are answered and change nothing', async (daemon) => {
  const { client } = daemon;
  await makeContainer(daemon, 'container');
  await client.put('container');
  await client.put('container');
  await client.put('unknown');
  const merged = await client.get('container');
  await client.get('container');
  assert.deepEqual(await daemon.mounts(), [merged]);
  await client.put('container');
  await assertReadable(daemon, merged);
  await client.put('container');
  await client.put('container');
  assert.deepEqual(await daemon.mounts(), []);
});

daemonTest('a mounted layer can be removed, whatever uses were counted', async (daemon) => {
  const before = await openDescriptors(daemon);
  await makeContainer(daemon, 'container');
  await times(3, () => daemon.client.get('container'));
  await removeContainer(daemon, 'container');
  await daemon.client.put('container');
  await assertNothingLeft(daemon, before);
});

daemonTest('a removal waits for the end of a Diff that streams, which comes whole', async (daemon) => {
  const before = await openDescriptors(daemon);
  const { client } = daemon;
  const base = await makeContainer(daemon, 'container');
  const merged = await client.get('container');
  // More than the sockets between hold.
  const contents = Buffer.alloc(32 << 20, 'x');
  await writeFile(join(daemon.inside(merged), 'large'), contents);
  const archive = await client.diffStream('container', base);

  let removed = false;
  const removal = client.remove('container').then(() => (removed = true));
  for (let call = 0; call < 20; call++) assert.equal(await client.exists('container'), true);
  assert.equal(removed, false);
  const files = await contentsOf(archive);
  assert.ok(files.get('large')?.equals(contents));
  await removal;
  assert.equal(await client.exists('container'), false);
  await client.remove(base);
  await assertNothingLeft(daemon, before);
});
