/** What the `thinlayer` command asks the daemon: JSON over HTTP on a socket of its own, for root only. */

import { createServer } from 'node:http';
import type { Server } from 'node:http';

import { asThinlayerError, ThinlayerError } from '../../core/errors.js';
import { parseLayerId } from '../../core/model.js';
import type { LayerReport, LayerService } from '../../core/service.js';

type Route = (service: LayerService, argument: string) => Promise<unknown> | unknown;

/** By method and first part of the path; the second part is the argument. */
const ROUTES: Readonly<Record<string, Route>> = {
  'GET /status': (service) => Object.fromEntries(service.status()),
  'GET /layers': (service) => [...service.report()],
  'GET /repositories': (service) => service.repositories(),
  'GET /layer': (service, id) => describe(service, id),
  'POST /repair': async (service, id) => {
    await service.repair(parseLayerId(id));
    return describe(service, id);
  },
  'POST /remove': (service, id) => removeUnused(service, id),
};

export function createControlServer(service: LayerService): Server {
  return createServer((request, response) => {
    void answer(service, request.method ?? '', request.url ?? '').then(({ status, body }) => {
      request.resume();
      response.writeHead(status, { 'Content-Type': 'application/json' });
      response.end(`${JSON.stringify(body)}\n`);
    });
  });
}

/** Never rejects. */
async function answer(
  service: LayerService,
  method: string,
  url: string,
): Promise<{ status: number; body: unknown }> {
  try {
    const [, name = '', argument = ''] = url.split('/');
    const key = `${method} /${name}`;
    const route = Object.hasOwn(ROUTES, key) ? ROUTES[key] : undefined;
    if (!route) throw new ThinlayerError('not_found', `unknown request ${method} ${url}`);
    await service.settled();
    return { status: 200, body: await route(service, decoded(argument)) };
  } catch (failure) {
    const { code, message } = asThinlayerError(failure);
    return { status: 400, body: { code, message } };
  }
}

function decoded(argument: string): string {
  try {
    return decodeURIComponent(argument);
  } catch (cause) {
    throw new ThinlayerError('invalid_argument', `not URL-encoded: ${JSON.stringify(argument)}`, { cause });
  }
}

/**
 * What Docker forgot. Who asks knows only that: what is mounted or used is in some container, and what is made on it may be
 * Docker's. Answers what was there.
 */
async function removeUnused(service: LayerService, text: string): Promise<unknown> {
  const { id, uses, state } = reportOf(service, text);
  if (state === 'mounted' || uses > 0) {
    throw new ThinlayerError('failed_precondition', `layer ${id} is in use; remove its container instead`, {
      layer: id,
    });
  }
  const removed = describe(service, text);
  await service.remove(id, 'alone');
  return removed;
}

function reportOf(service: LayerService, text: string): LayerReport {
  const id = parseLayerId(text);
  const report = [...service.report()].find((layer) => layer.id === id);
  if (!report) throw new ThinlayerError('not_found', `layer ${id} does not exist`, { layer: id });
  return report;
}

function describe(service: LayerService, text: string): unknown {
  const report = reportOf(service, text);
  const { id } = report;
  const info = service.stat(id);
  return { ...report, ...(info && { record: info.record, paths: info.paths, lowers: info.lowers }) };
}
