import assert from 'node:assert/strict';
import { importBusybox } from './images.js';
import { labTest } from './lab-test.js';

labTest('containers run', {}, async (lab, step) => {
  await step('an imported image runs', async () => {
    await importBusybox(lab);
    assert.equal(await lab.docker('run', '--rm', 'busybox', 'cat', '/data/one'), 'one');
  });
  await step('nothing is left', async () => {
    await lab.docker('rmi', 'busybox');
    assert.deepEqual(await lab.leftovers(), []);
    assert.deepEqual(await lab.mounts(), []);
  });
});
