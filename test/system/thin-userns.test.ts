/** Thin images under --userns-remap: layers that a publisher's user owns belong to the root of containers. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { thinDescriptor } from '../cvmfs/thin-repository.js';
import { importThin, startThinLab } from './thin-lab.js';

for (const [name, descriptor, claims, owner] of [
  ['claimed', 'thin-ducc.json', 'yes', '0'],
  ['as published', 'thin.json', 'no', '1000'],
] as const) {
  test(`a container whose ids are remapped sees the owners of its image: ${name}`, async (t) => {
    await using lab = await startThinLab(t, { usernsRemap: true }, { CVMFS_CLAIM_OWNERSHIP: claims });
    await importThin(lab, 'thin', await thinDescriptor(descriptor));
    const script = '/app/run.sh && echo changed > /app/run.sh && cat /proc/self/uid_map';
    const said = await lab.docker('run', '--name', 'box', 'thin', '/bin/sh', '-c', script);
    assert.match(said, /hello from layer two[^]*\n +0 +100000 +65536$/);
    const user = ['run', '--rm', '--user', owner, 'thin', '/bin/sh', '-c'];
    assert.equal(await lab.docker(...user, '[ -O /app/run.sh ] && echo mine'), 'mine');
    await lab.docker('rm', 'box');
  });
}
