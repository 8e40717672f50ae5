/** moby's own conformance suite for graph drivers, through moby's own plugin client (test/conformance/graphtest). */

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { driverUnderTest, pluginSocket, startPlugin } from '../system/drivers.js';
import { Jail } from '../system/jail.js';
import { CACHE } from '../system/project.js';

const GRAPHTEST = join(CACHE, 'bin/graphtest');
const SKIP = existsSync(GRAPHTEST) ? false : `${GRAPHTEST} is not built: see test/setup/moby.sh`;
const TESTS = 10;

test("moby's graphtest suite passes over the socket", { skip: SKIP }, async (t) => {
  await using jail = await Jail.make();
  const driver = driverUnderTest();
  assert.notEqual(driver, 'overlay2');
  if (driver === 'overlay2') return;
  await startPlugin(jail, driver);
  const socket = `GRAPHPLUGIN_SOCK=${pluginSocket(jail)}`;
  const output = await jail.run(['env', socket, `TMPDIR=${jail.directory}`, GRAPHTEST, '-test.v']);
  const passed = output.split('\n').filter((line) => line.startsWith('--- PASS'));
  for (const line of passed) t.diagnostic(line);
  assert.equal(passed.length, TESTS, output);
});
