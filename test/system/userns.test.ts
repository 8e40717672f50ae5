import assert from 'node:assert/strict';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { importBusybox } from './images.js';
import { labTest } from './lab-test.js';
import { layerDirectories } from './layers.js';
import { pruneAll } from './nothing-left.js';

/** What `useradd` gives the first user with subordinate ids, here `dockremap`. */
const FIRST_ID = 100_000;

labTest('containers run with --userns-remap=default', { usernsRemap: true }, async (lab, step) => {
  await step('run', async () => {
    await importBusybox(lab);
    const script = 'touch /root-made && stat -c %u:%g /root-made /data/one && cat /proc/self/uid_map';
    const output = await lab.docker('run', '--name', 'box', 'busybox', 'sh', '-c', script);
    assert.match(output, new RegExp(`^0:0\n0:0\n +0 +${FIRST_ID} +65536$`));
  });
  await step('files on disk belong to the mapped root', async () => {
    const [base = ''] = await layerDirectories(lab, 'busybox');
    for (const path of [base, join(base, 'data/one')]) {
      const { uid, gid } = await stat(path);
      assert.deepEqual({ uid, gid }, { uid: FIRST_ID, gid: FIRST_ID });
    }
  });
  await step('commit', async () => {
    await lab.docker('commit', 'box', 'committed');
    assert.equal(await lab.docker('run', '--rm', 'committed', 'stat', '-c', '%u:%g', '/root-made'), '0:0');
  });
  for (const buildkit of ['0', '1']) {
    await step(`build with DOCKER_BUILDKIT=${buildkit}`, async () => {
      const input =
        'FROM busybox\nRUN rm -r /data && mkdir /data && touch /data/new && chown 5:6 /data/new\n';
      const options = { input, env: { DOCKER_BUILDKIT: buildkit } };
      await lab.dockerWith(options, 'build', '--network=none', '-t', 'built', '-');
      const listed = await lab.docker('run', '--rm', 'built', 'stat', '-c', '%n %u:%g', '/data', '/data/new');
      assert.equal(listed, '/data 0:0\n/data/new 5:6');
    });
  }
  await step('nothing is left', () => pruneAll(lab));
});
