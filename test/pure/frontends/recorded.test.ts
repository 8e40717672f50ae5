/**
 * Exchanges recorded from dockerd 20.10 with another plugin (test/fixtures/wire): the requests as they came, byte by
 * byte, and the answers that dockerd was content with, as JSON. Entries of Changes with an empty path, a fault
 * of that plugin, are left out.
 */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import type { ChangeKind, LayerInfo } from '../../../src/core/model.js';
import type { LayerService } from '../../../src/core/service.js';
import { chunk, dockerApply, dockerRequest } from '../../fakes/raw-connection.js';
import { withDriver } from './driver.js';

interface Exchange {
  readonly method: string;
  readonly query?: string;
  readonly request?: Readonly<Record<string, unknown>>;
  readonly answer: {
    readonly Dir?: string;
    readonly Size?: number;
    readonly Status?: [string, string][];
    readonly Changes?: readonly { Path: string; Kind: number }[];
    readonly Metadata?: Readonly<Record<string, string>>;
  };
}

const FIXTURES = new URL('../../../../test/fixtures/wire/exchanges.jsonl', import.meta.url);

const exchanges = readFileSync(FIXTURES, 'utf8')
  .trimEnd()
  .split('\n')
  .map((line) => JSON.parse(line) as Exchange);

const KINDS: ChangeKind[] = ['modified', 'added', 'deleted'];

/** A service that knows what the recorded answer tells. */
function serviceKnowing({ answer }: Exchange): Partial<LayerService> {
  const { MergedDir = '', UpperDir = '', WorkDir = '', LowerDir } = answer.Metadata ?? {};
  const info = {
    paths: { root: '', diff: UpperDir, work: WorkDir, merged: MergedDir },
    lowers: LowerDir?.split(':') ?? [],
  } as Partial<LayerInfo> as LayerInfo;
  return {
    create: async () => undefined,
    detach: async () => undefined,
    remove: async () => undefined,
    cleanup: async () => undefined,
    attach: async () => answer.Dir ?? '',
    applyDiff: async (_id, _parent, tar) => {
      for await (const part of tar) assert.ok(part.length > 0);
      return answer.Size ?? NaN;
    },
    size: async () => answer.Size ?? NaN,
    changes: async () =>
      (answer.Changes ?? []).map((c) => ({ path: c.Path, kind: KINDS[c.Kind] ?? 'modified' })),
    status: () => answer.Status ?? [],
    stat: () => info,
  };
}

function bytesOf({ method, query, request }: Exchange): string {
  if (query !== undefined) return dockerApply(query) + chunk('x'.repeat(512)) + chunk('y') + chunk('');
  return dockerRequest(method, request === undefined ? '' : `${JSON.stringify(request)}\n`);
}

for (const [index, exchange] of exchanges.entries()) {
  test(`recorded exchange ${index + 1}: ${exchange.method}`, async () => {
    await withDriver(serviceKnowing(exchange), async ({ connect }) => {
      const connection = await connect();
      connection.send(bytesOf(exchange));
      const { status, body, whole } = await connection.answer();
      assert.deepEqual(
        { status, whole, json: JSON.parse(body) as unknown },
        { status: 200, whole: true, json: exchange.answer },
      );
      connection.close();
    });
  });
}

test('all recorded requests pass one connection, one after the other', async () => {
  let current: Partial<LayerService> = {};
  const service = new Proxy({} as Partial<LayerService>, {
    get: (_, name) => Reflect.get(current, name) as unknown,
  });
  await withDriver(service, async ({ connect, logged }) => {
    const connection = await connect();
    for (const exchange of exchanges) {
      current = serviceKnowing(exchange);
      connection.send(bytesOf(exchange));
      assert.deepEqual(JSON.parse((await connection.answer()).body), exchange.answer);
    }
    connection.close();
    assert.equal(logged.length, exchanges.length);
  });
});
