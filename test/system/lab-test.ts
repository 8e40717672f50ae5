/** A test whose steps share one lab, since a dockerd takes seconds to start. */

import { test } from 'node:test';
import { Lab } from './lab.js';
import type { LabOptions } from './lab.js';

/** One step: a test of its own in the report. When it fails, the ends of the daemons' logs are shown with it. `skip`: why it is not taken. */
export type Step = (name: string, body: () => Promise<void>, skip?: string | false) => Promise<void>;

export function labTest(
  name: string,
  options: LabOptions,
  body: (lab: Lab, step: Step) => Promise<void>,
): void {
  test(name, async (t) => {
    await using lab = await Lab.start(options);
    const step: Step = (title, run, skip = false) =>
      t.test(title, { skip }, async (inner) => {
        try {
          await run();
        } catch (error) {
          inner.diagnostic(await lab.logs());
          throw error;
        }
      });
    await body(lab, step);
  });
}
