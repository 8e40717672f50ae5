import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { LayerId, LayerInfo } from '../../../src/core/model.js';
import { checkDepth, planMount } from '../../../src/core/mount-plan.js';
import type { PlanInput } from '../../../src/core/mount-plan.js';
import { DEFAULT_OPTIONS } from '../../../src/core/options.js';

function layer(committed: boolean, mountLabel: string | null = null): LayerInfo {
  return {
    record: {
      version: 1,
      id: 'a' as LayerId,
      parent: 'b' as LayerId,
      kind: 'container',
      state: 'created',
      link: 'A'.repeat(26),
      size: null,
      quota: null,
      mountLabel,
    },
    paths: { root: '/h/a', diff: '/h/a/diff', work: '/h/a/work', merged: '/h/a/merged' },
    lowers: ['/h/b/diff'],
    depth: 1,
    committed,
  };
}

function input(changes: Partial<PlanInput> = {}): PlanInput {
  return {
    layer: layer(false),
    lowerLinks: ['/h/l/B', '/h/l/C'],
    ownLink: '/h/l/A',
    label: null,
    options: DEFAULT_OPTIONS,
    remote: false,
    ...changes,
  };
}

test('a layer that nothing stands on is mounted writable', () => {
  assert.deepEqual(planMount(input({ options: { ...DEFAULT_OPTIONS, mountOptions: ['nodev'] } })), {
    type: 'overlay',
    target: '/h/a/merged',
    lowers: ['/h/l/B', '/h/l/C'],
    writable: { upper: '/h/a/diff', work: '/h/a/work' },
    options: ['nodev'],
    context: null,
    remote: false,
  });
});

test('a committed layer is mounted read-only, its own directory uppermost', () => {
  const plan = planMount(input({ layer: layer(true) }));
  assert.deepEqual(plan?.lowers, ['/h/l/A', '/h/l/B', '/h/l/C']);
  assert.equal(plan?.writable, null);
});

test('a mount that asks a repository is marked', () => {
  assert.equal(planMount(input({ remote: true }))?.remote, true);
});

test('a layer without lower layers is not mounted', () => {
  assert.equal(planMount(input({ lowerLinks: [] })), null);
});

test('the label of the call goes before the label of the creation', () => {
  assert.equal(planMount(input({ layer: layer(false, 'made:with'), label: null }))?.context, 'made:with');
  assert.equal(
    planMount(input({ layer: layer(false, 'made:with'), label: 'asked:for' }))?.context,
    'asked:for',
  );
});

test('the limit of depth is that of the options, and its error can be searched for', () => {
  const options = { ...DEFAULT_OPTIONS, maxLowers: 2 };
  assert.notEqual(planMount(input({ options })), null);
  assert.throws(() => planMount(input({ options, lowerLinks: ['1', '2', '3'] })), {
    code: 'failed_precondition',
    message: /max depth exceeded: layer a has 3 .* limit is 2/,
  });
  checkDepth(layer(false), 128, 128);
  assert.throws(() => checkDepth(layer(false), 129, 128), { code: 'failed_precondition' });
});

test('a lower that stands there twice is mounted once, at its upper place', () => {
  const lowerLinks = ['/c/C', '/h/l/B', '/c/C', '/c/A'];
  assert.deepEqual(planMount(input({ lowerLinks }))?.lowers, ['/c/C', '/h/l/B', '/c/A']);
});
