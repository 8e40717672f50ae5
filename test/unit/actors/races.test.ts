/** Orders of events that nobody chose: the works of the ports end in any order. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import fc from 'fast-check';

import type { Supervisor } from '../../../actors/supervisor.js';
import { fakeEngine } from '../../fakes/engine.js';
import type { FakeEngine } from '../../fakes/engine.js';
import { id, openedOn } from './harness.js';

/** Requests on a parent P and a child C of it. */
const CALLS = {
  'create P': (s: Supervisor) => s.create(id('P'), id('base'), 'image', {}),
  'remove P': (s: Supervisor) => s.remove(id('P')),
  'create C': (s: Supervisor) => s.create(id('C'), id('P'), 'container', {}),
  'remove C': (s: Supervisor) => s.remove(id('C')),
  'attach C': (s: Supervisor) => s.attach(id('C'), null),
  'detach C': (s: Supervisor) => s.detach(id('C')),
  'compare C': (s: Supervisor) => s.size(id('C'), id('base')),
};

const names = Object.keys(CALLS) as (keyof typeof CALLS)[];
/** All are sent at once, each after some turns of the loop. */
const call = fc.oneof(fc.constantFrom(...names), fc.constantFrom<keyof typeof CALLS>('remove P', 'create C'));
const request = fc.record({ call, turns: fc.nat({ max: 60 }) });

async function after<T>(turns: number, call: () => Promise<T>): Promise<T> {
  for (let i = 0; i < turns; i++) await Promise.resolve();
  return call();
}

/** From now on disk and kernel take as many turns of the loop as `delays` say, and fail now and then. */
function makeUnsteady({ store, mounter }: FakeEngine, delays: Iterator<number>): void {
  const unsteady = <A extends unknown[], T>(work: (...args: A) => Promise<T>) => {
    return async (...args: A): Promise<T> => {
      const turns = delays.next().value ?? 0;
      await after(turns, () => Promise.resolve());
      if (turns % 5 === 4) throw new Error('failed (injected)');
      return work(...args);
    };
  };
  const { create, remove } = { create: store.create.bind(store), remove: store.remove.bind(store) };
  Object.assign(store, { create: unsteady(create), remove: unsteady(remove) });
  Object.assign(mounter, { mount: unsteady(mounter.mount), unmount: unsteady(mounter.unmount) });
}

test('no order of creations, removals, mounts and failures leaves a child without its parent', async () => {
  const delay = fc.nat({ max: 30 });
  await fc.assert(
    fc.asyncProperty(
      fc.array(request, { maxLength: 10 }),
      fc.infiniteStream(delay),
      async (requests, delays) => {
        const engine = fakeEngine();
        const { supervisor } = await openedOn(engine);
        await supervisor.create(id('base'), null, 'image', {});
        await supervisor.create(id('P'), id('base'), 'image', {});
        makeUnsteady(engine, delays);
        await Promise.allSettled(
          requests.map(({ call, turns }) => after(turns, (): Promise<unknown> => CALLS[call](supervisor))),
        );
        const layers = [...supervisor.list()].map(({ record }) => record);
        const known = new Set(layers.map((r) => r.id));
        for (const { parent } of layers)
          assert.ok(parent === null || known.has(parent), `${parent} is missing`);
        const uses = new Map([...supervisor.report()].map((r) => [r.id as string, r]));
        for (const target of engine.mounts)
          assert.ok(uses.has(target.split('/')[2] ?? ''), `${target} is left`);
        for (const { uses: count } of uses.values()) assert.ok(count >= 0);
      },
    ),
    { numRuns: 25 },
  );
});
