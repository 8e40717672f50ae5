import assert from 'node:assert/strict';
import { test } from 'node:test';

import { parseLayerId } from '../../../src/core/model.js';
import type { LayerId, LayerRecord } from '../../../src/core/model.js';
import type { HomeFacts, LayerFacts } from '../../../src/store/facts.js';
import { linkTarget, lowerSize, lowerText } from '../../../src/store/paths.js';
import { planRecovery } from '../../../src/store/plan.js';
import { newRecord } from '../../conformance/layer-store.js';

const NONE = { found: 'none' } as const;
const DAMAGE = { found: 'damage', reason: 'the record is damaged', newer: false } as const;

/** `a` has the link AAA…, `b` BBB…. */
function linkOf(id: string): string {
  return (id[0] ?? '').toUpperCase().repeat(26);
}

function recordOf(id: string, parent: string | null = null): LayerRecord {
  return newRecord(id, parent, { link: linkOf(id) });
}

/** A layer's directory as it should be, `depth` layers above its base. */
function whole(id: string, parent: string | null, depth: number, more: Partial<LayerFacts> = {}): LayerFacts {
  const upper = parent === null ? [] : ['lower', 'work'];
  return {
    id: parseLayerId(id),
    fault: null,
    entries: ['diff', 'layer.json', 'link', 'committed', ...upper],
    record: { found: 'record', record: recordOf(id, parent) },
    draft: NONE,
    staged: NONE,
    linkSize: 26,
    lowerSize: lowerSize(depth),
    diffFilled: false,
    overlay2: null,
    ...more,
  };
}

/** The same made by Docker's driver: no record. */
function dockers(id: string, chain: readonly string[], more: Partial<LayerFacts> = {}): LayerFacts {
  const lower = lowerText(chain.map(linkOf));
  return whole(id, chain[0] ?? null, chain.length, {
    record: NONE,
    entries: ['diff', 'link', 'committed', ...(chain.length > 0 ? ['lower', 'work'] : [])],
    overlay2: { link: linkOf(id), lower, filled: true },
    ...more,
  });
}

function facts(layers: readonly LayerFacts[], links?: Record<string, string>): HomeFacts {
  const own = layers.map((layer) => [linkOf(layer.id), linkTarget(layer.id)] as const);
  return { layers, links: new Map(links === undefined ? own : Object.entries(links)) };
}

function plan(
  layers: readonly LayerFacts[],
  links?: Record<string, string>,
  mounted: readonly string[] = [],
) {
  const made = planRecovery(facts(layers, links), new Set(mounted.map(parseLayerId)));
  const mends = made.layers.flatMap((layer) => layer.mends.map((mend) => [layer.record.id, mend]));
  return {
    ...made,
    mends: JSON.parse(JSON.stringify(mends)) as unknown,
    ids: made.layers.map((l) => l.record.id),
  };
}

function faults(made: { faults: ReadonlyMap<LayerId, string> }): string[] {
  return Array.from(made.faults, ([id, reason]) => `${id}: ${reason}`);
}

test('a home in order needs nothing', () => {
  const made = plan([whole('a', null, 0), whole('b', 'a', 1), whole('c', 'b', 2)]);
  assert.deepEqual(made.ids, ['a', 'b', 'c']);
  assert.deepEqual(
    [made.mends, made.halfMade, made.orphanLinks, faults(made), made.notes],
    [[], [], [], [], []],
  );
});

test('missing and empty files are written, wrong links set right', () => {
  const a = whole('a', null, 0, { entries: ['diff', 'layer.json'], linkSize: 0 });
  const b = whole('b', 'a', 1, { entries: ['diff', 'layer.json', 'link', 'lower'], lowerSize: 0 });
  assert.deepEqual(plan([a, b], { [linkOf('b')]: '../x/diff' }).mends, [
    ['a', { do: 'write', name: 'link' }],
    ['a', { do: 'write', name: 'committed' }],
    ['a', { do: 'relink', stale: false }],
    ['b', { do: 'make work' }],
    ['b', { do: 'write', name: 'lower' }],
    ['b', { do: 'relink', stale: true }],
  ]);
});

test('merged goes, unless it is a mount', () => {
  const a = whole('a', null, 0);
  const left = { ...a, entries: [...a.entries, 'merged'] };
  assert.deepEqual(plan([left]).mends, [['a', { do: 'remove merged' }]]);
  assert.deepEqual(plan([left], undefined, ['a']).mends, []);
});

test('a whole draft is the record, a broken one is dropped', () => {
  const draft = { found: 'record', record: { ...recordOf('a'), size: 5 } } as const;
  const promoted = plan([whole('a', null, 0, { draft })]);
  assert.deepEqual([promoted.layers[0]?.record.size, promoted.mends], [5, [['a', { do: 'promote draft' }]]]);
  assert.deepEqual(plan([whole('a', null, 0, { draft, record: NONE })]).ids, ['a']);
  assert.deepEqual(plan([whole('a', null, 0, { draft: DAMAGE })]).mends, [
    ['a', { do: 'drop', name: 'layer.json.tmp' }],
  ]);
});

test('a commit under way is finished, but not under a mount, nor over files; a staging alone is dropped', () => {
  const a = whole('a', null, 0, { staged: { found: 'record', record: { ...recordOf('a'), size: 5 } } });
  const staging = { ...a, entries: [...a.entries, 'staging'] };
  assert.deepEqual(plan([a]).mends, [['a', { do: 'finish commit', swap: false }]]);
  assert.deepEqual(plan([staging]).mends, [['a', { do: 'finish commit', swap: true }]]);
  assert.equal(plan([staging]).layers[0]?.record.size, 5);
  const back = [
    ['a', { do: 'drop', name: 'layer.json.staged' }],
    ['a', { do: 'drop', name: 'staging' }],
  ];
  assert.deepEqual(plan([staging], undefined, ['a']).mends, back);
  assert.deepEqual(plan([{ ...staging, diffFilled: true }]).mends, back);
  assert.deepEqual(plan([{ ...staging, staged: DAMAGE }]).mends, back);
  assert.deepEqual(plan([{ ...staging, staged: NONE }]).mends, [['a', { do: 'drop', name: 'staging' }]]);
});

test('a Create that was not acknowledged is half made, unless it is mounted or holds files', () => {
  const begun = dockers('a', [], {
    draft: DAMAGE,
    overlay2: { link: linkOf('a'), lower: '', filled: false },
  });
  const empty = dockers('b', [], {
    entries: [],
    linkSize: 0,
    overlay2: { link: '', lower: '', filled: false },
  });
  const made = plan([begun, empty]);
  assert.deepEqual([made.ids, made.halfMade], [[], ['a', 'b']]);
  assert.deepEqual(made.orphanLinks, [linkOf('a'), linkOf('b')]);
  assert.match(faults(plan([empty], undefined, ['b'])).join(), /b: it has no record, but is mounted/);
  assert.deepEqual(plan([dockers('a', [], { draft: DAMAGE })]).ids, ['a']);
});

test('a directory that is no layer is left alone', () => {
  const foreign = dockers('a', [], {
    entries: ['my-notes.txt'],
    linkSize: 0,
    overlay2: { link: '', lower: '', filled: false },
  });
  const made = plan([foreign], {});
  assert.deepEqual(made.halfMade, []);
  assert.match(faults(made).join(), /"my-notes.txt"/);
});

test('links that no layer owns are orphans; those of broken layers, and those into cvmfs, are not', () => {
  const made = plan([whole('a', null, 0), whole('b', null, 0, { record: DAMAGE, linkSize: 0 })], {
    [linkOf('a')]: '../a/diff',
    [linkOf('b')]: '../b/diff',
    [linkOf('c')]: '../c/diff',
    [linkOf('d')]: '../cvmfs/sw.example.org/layers/d',
    [linkOf('e')]: '../a/diff',
    note: '../f/diff',
  });
  assert.deepEqual(made.orphanLinks, [linkOf('c'), linkOf('e')]);
});

test('what cannot be read, comes from a later version, or lost its diff, is broken by itself', () => {
  const made = plan([
    whole('a', null, 0, { fault: 'EIO' }),
    whole('b', null, 0, { record: { found: 'damage', reason: 'version 2', newer: true } }),
    whole('c', null, 0, { entries: ['layer.json', 'link', 'committed'] }),
    whole('d', null, 0),
  ]);
  assert.deepEqual(made.ids, ['d']);
  assert.deepEqual(
    faults(made).map((text) => text.slice(0, 12)),
    ['a: EIO', 'b: version 2', 'c: its diff '],
  );
});

test('a copied directory does not take the link of the original', () => {
  const copy = whole('b', null, 0, {
    record: { found: 'record', record: { ...recordOf('b'), link: linkOf('a') } },
  });
  for (const layers of [
    [copy, whole('a', null, 0)],
    [whole('a', null, 0), copy],
  ]) {
    const made = plan(layers, { [linkOf('a')]: '../a/diff' });
    assert.deepEqual(made.ids, ['a']);
    assert.match(faults(made).join(), /b: its link A+ belongs to layer a/);
  }
});

test("layers of Docker's driver: parents from lower, containers by their -init", () => {
  const made = plan([dockers('a', []), dockers('b', ['a']), dockers('c-init', ['b', 'a'])]);
  assert.deepEqual(
    made.layers.map(({ record }) => [record.id, record.parent, record.kind, record.state, record.size]),
    [
      ['a', null, 'image', 'applied', null],
      ['b', 'a', 'image', 'applied', null],
      ['c-init', 'b', 'container', 'created', null],
    ],
  );
  assert.deepEqual([made.mends, faults(made)], [[], []]);
});

test("Docker's container layer is one, because its -init is there", () => {
  const init = dockers('c-init', []);
  const container = dockers('c', ['x']);
  const made = planRecovery(
    {
      layers: [{ ...init, overlay2: { link: linkOf('x'), lower: '', filled: true } }, container],
      links: new Map(),
    },
    new Set(),
  );
  assert.deepEqual(
    made.layers.map(({ record }) => [record.id, record.parent, record.kind]),
    [
      ['c-init', null, 'container'],
      ['c', 'c-init', 'container'],
    ],
  );
});

test("a power cut emptied files of Docker's driver (moby#46471)", () => {
  const link = dockers('a', [], { linkSize: 0, overlay2: { link: '', lower: '', filled: true } });
  const upper = dockers('b', ['a']);
  const named = plan([link, upper]);
  assert.deepEqual([named.ids, named.mends], [['a', 'b'], [['a', { do: 'write', name: 'link' }]]]);
  assert.match(faults(plan([link], {})).join(), /no entry of l\/ points to it/);

  const lower = dockers('b', ['a'], {
    lowerSize: 0,
    overlay2: { link: linkOf('b'), lower: '', filled: true },
  });
  assert.match(faults(plan([dockers('a', []), lower])).join(), /b: its lower file is empty or missing/);
});

test("a lower file of Docker's driver that nobody can follow", () => {
  const named = (lower: string) =>
    plan([dockers('a', []), dockers('b', ['a'], { overlay2: { link: linkOf('b'), lower, filled: true } })]);
  assert.match(faults(named(lowerText([linkOf('x')]))).join(), /no layer owns l\/X+/);
  assert.match(faults(named('../../etc')).join(), /no list of l\/ links/);
  assert.match(faults(named(lowerText(['a', 'x'].map(linkOf)))).join(), /lists other layers/);
});

test('a damaged record beside the files of overlay2: derived, and told', () => {
  const made = plan([
    dockers('a', [], { record: DAMAGE, entries: ['diff', 'layer.json', 'link', 'committed'] }),
  ]);
  assert.deepEqual([made.ids, made.notes.length], [['a'], 1]);
});
