/** What holds for every sequence of requests, whatever becomes of the work. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import fc from 'fast-check';
import { initialTransition, transition } from 'xstate';
import type { SnapshotFrom } from 'xstate';

import { Gate } from '../../../actors/gate.js';
import { layerMachine } from '../../../actors/layer.machine.js';
import type { LayerInput } from '../../../actors/layer.machine.js';
import type { LayerRequest } from '../../../src/core/request.js';
import { infoOf, ID, LayerLife, REQUESTS } from './layer-life.js';
import type { Outcome, RequestName } from './layer-life.js';

const NAMES = Object.keys(REQUESTS) as RequestName[];
const outcome = fc.constantFrom<Outcome>('ok', 'fail');

/** How a layer may be met. */
const start = fc.constantFrom(
  {},
  { info: infoOf() },
  { info: infoOf({ state: 'applied' }) },
  { info: infoOf(), uses: 1 },
  { info: infoOf(), uses: 2, stranded: true },
  { info: infoOf({ parent: null }, []) },
  { broken: 'no record' },
  { broken: 'no record', uses: 1 },
);

test('without the gate, at any moment: every request gets one reply, uses never go below zero', async () => {
  const step = fc.oneof(fc.constantFrom(...NAMES), outcome);
  await fc.assert(
    fc.asyncProperty(start, fc.array(step, { maxLength: 12 }), async (input, steps) => {
      const life = new LayerLife(input);
      let sent = 0;
      for (const s of steps) {
        if (s === 'ok' || s === 'fail') await ending(life, s);
        else life.send(s, ++sent);
      }
      while (life.working) await ending(life, 'ok');
      const answered = life.replies.map((r) => r.request).sort((a, b) => a - b);
      assert.deepEqual(
        answered,
        Array.from({ length: sent }, (_, i) => i + 1),
      );
      assert.ok(life.leastUses >= 0);
      assert.equal(life.actor.getSnapshot().status, 'active');
    }),
    { numRuns: 25 },
  );
});

/** Ends the work under way, and waits until the machine has taken notice. */
async function ending(life: LayerLife, how: Outcome): Promise<void> {
  if (!life.working) return;
  const before = life.actor.getSnapshot();
  const noticed = new Promise<void>((resolve) => {
    const subscription = life.actor.subscribe((snapshot) => {
      if (snapshot === before) return;
      subscription.unsubscribe();
      resolve();
    });
  });
  life.end(how);
  await noticed;
}

test('through the gate, all at once: every request is answered, none is found busy', async () => {
  await fc.assert(
    fc.asyncProperty(
      start,
      fc.array(fc.constantFrom(...NAMES), { maxLength: 12 }),
      fc.infiniteStream(outcome),
      async (input, names, outcomes) => {
        const life = new LayerLife({ ...input });
        const gate = new Gate(ID);
        life.endAs(() => outcomes.next().value ?? 'ok');
        await Promise.allSettled(names.map((name) => gate.pass(() => life.mailbox.ask(REQUESTS[name]))));
        assert.equal(life.replies.length, names.length);
        const busy = life.replies.filter((r) => !r.ok && r.error.message.includes('busy'));
        assert.deepEqual(busy, []);
        assert.ok(life.leastUses >= 0);
        assert.ok(gate.idle);
      },
    ),
    { numRuns: 25 },
  );
});

const RESULTS: Readonly<Record<string, unknown>> = {
  creating: infoOf(),
  applying: infoOf({ state: 'applied', size: 7 }),
  mounting: '/merged',
  repairing: infoOf(),
};

/** What a machine can be sent in this state: all requests, and both ends of its work. */
function eventsIn(state: string): LayerRequest[] {
  const requests = NAMES.map((name) => ({ ...REQUESTS[name], request: 1 }));
  const ends = [
    { type: `xstate.done.actor.0.layer.${state}`, output: RESULTS[state] },
    { type: `xstate.error.actor.0.layer.${state}`, error: new Error('failed') },
  ];
  return [...requests, ...(ends as unknown as LayerRequest[])];
}

type LayerSnapshot = SnapshotFrom<typeof layerMachine>;

/** Every situation that can come about from `input`, up to two uses. */
function explore(input: LayerInput): LayerSnapshot[] {
  const found = new Map<string, LayerSnapshot>();
  const open = [initialTransition(layerMachine, input)[0]];
  for (let state = open.pop(); state; state = open.pop()) {
    const { value, context: c } = state;
    const key = [value, c.uses, c.mounted, c.info?.record.state, c.broken, c.request?.type].join();
    if (found.has(key) || c.uses > 2) continue;
    found.set(key, state);
    for (const event of eventsIn(String(value))) open.push(transition(layerMachine, state, event)[0]);
  }
  return [...found.values()];
}

const STATES = [
  'absent',
  'applied',
  'applying',
  'created',
  'creating',
  'failed',
  'mounted',
  'mounting',
  'removing',
  'repairing',
  'unmounting',
];

test('all states can be reached, and in each of them no request is swallowed', () => {
  const unknown = { id: ID, info: undefined, broken: undefined, uses: 0 };
  const reached = [...explore(unknown), ...explore({ ...unknown, broken: 'no record', uses: 1 })];
  assert.deepEqual([...new Set(reached.map((s) => String(s.value)))].sort(), STATES);
  for (const state of reached) {
    for (const name of NAMES) {
      const request = { ...REQUESTS[name], request: 2 };
      const [next, actions] = transition(layerMachine, state, request);
      const replies = actions.filter(({ type }) => String(type) === 'xstate.emit').length;
      const taken = next.context.request === request ? 1 : 0;
      assert.equal(replies + taken, 1, `${String(state.value)} ${request.type}`);
    }
  }
});
