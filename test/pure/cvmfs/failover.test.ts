import assert from 'node:assert/strict';
import { test } from 'node:test';

import { TransferFailure, networkFailure, statusFailure } from '../../../src/cvmfs/embedded/fetch/failure.js';
import { Failover } from '../../../src/cvmfs/embedded/fetch/failover.js';
import type { Proxy } from '../../../src/cvmfs/embedded/fetch/routes.js';
import { Routes } from '../../../src/cvmfs/embedded/fetch/routes.js';
import { refusal } from '../../../src/cvmfs/embedded/refusal.js';

const A = 'http://a/cvmfs/r';
const B = 'http://b/cvmfs/r';
const P = 'http://p:3128';
const Q = 'http://q:3128';

function routesOf(hosts: string[], proxies: Proxy[][] = [[null]]) {
  const sleep = () => Promise.reject(new Error('not here'));
  // Somebody sets it back all the time.
  const clock = { time: 0, ticks: () => clock.time, now: () => -clock.time, sleep };
  const random = () => 0.5;
  const routes = new Routes({ hosts, proxies, hostResetMs: 60_000, proxyResetMs: 10_000, clock, random });
  return { routes, clock };
}

function failoverOn(routes: Routes, maxRetries = 1): Failover {
  return new Failover(routes, { maxRetries, backoffInitMs: 100, backoffMaxMs: 150, random: () => 1 });
}

const atHost = new TransferFailure('host', 'answered 404');
const atProxy = new TransferFailure('proxy', 'answered 407');
const accident = new TransferFailure('host', 'ECONNRESET', { accident: true });
const wrong = refusal('61/d4 is not what its name says');

/** Where a request goes, given what happens to it each time. */
function walk(failover: Failover, what: TransferFailure | typeof wrong): string[] {
  const way: string[] = [];
  for (let route = failover.route(); route !== null; route = failover.route()) {
    assert.ok(way.length < 20, 'it goes in circles');
    way.push(`${route.host} ${route.proxy ?? 'DIRECT'}${failover.noCache ? ' no-cache' : ''}`);
    if (what instanceof TransferFailure) failover.failed(route, what);
    else failover.refused(route, what);
  }
  return way;
}

test('a server that fails is left for the next one, each is asked once', () => {
  const failover = failoverOn(routesOf([A, B]).routes);
  assert.deepEqual(walk(failover, atHost), [`${A} DIRECT`, `${B} DIRECT`]);
  const { code, message } = failover.error('data/x');
  assert.equal(code, 'unavailable');
  assert.equal(message, `data/x cannot be fetched: ${A}: answered 404; ${B}: answered 404`);
});

test('an accident is repeated once where it happened, after a pause', () => {
  const failover = failoverOn(routesOf([A, B]).routes);
  assert.deepEqual(walk(failover, accident), [`${A} DIRECT`, `${A} DIRECT`, `${B} DIRECT`]);
  const told = `${A}: ECONNRESET (2 times); ${B}: ECONNRESET`;
  assert.equal(failover.error('data/x').message, `data/x cannot be fetched: ${told}`);
  const patient = failoverOn(routesOf([A]).routes, 4);
  const pauses = [1, 2, 3, 4, 5].map(() => patient.failed(patient.route() ?? assert.fail(), accident));
  assert.deepEqual(pauses, [100, 150, 150, 150, 0]);
});

test('what is wrong is never asked of the same server again', () => {
  const failover = failoverOn(routesOf([A, B]).routes, 5);
  assert.deepEqual(walk(failover, wrong), [`${A} DIRECT`, `${B} DIRECT`]);
  assert.equal(failover.error('data/x').code, 'data_loss');
});

test('through a proxy it is asked once more, past the cache', () => {
  const failover = failoverOn(routesOf([A, B], [[P]]).routes, 5);
  assert.deepEqual(walk(failover, wrong), [
    `${A} ${P}`,
    `${A} ${P} no-cache`,
    `${B} ${P}`,
    `${B} ${P} no-cache`,
  ]);
});

test('one sound failure beside wrong answers is no loss of data: that server may come back', () => {
  const failover = failoverOn(routesOf([A, B]).routes);
  failover.refused(failover.route() ?? assert.fail(), wrong);
  failover.failed(failover.route() ?? assert.fail(), atHost);
  assert.equal(failover.route(), null);
  assert.equal(failover.error('data/x').code, 'unavailable');
});

test('proxies fail over within their group, then to the next group, then the next server is asked through all', () => {
  const failover = failoverOn(routesOf([A, B], [[P], [Q]]).routes);
  assert.deepEqual(walk(failover, atProxy), [`${A} ${P}`, `${A} ${Q}`, `${B} ${P}`, `${B} ${Q}`]);
});

test('what one request found out spares the others', () => {
  const { routes, clock } = routesOf([A, B], [[P, Q]]);
  const none = { hosts: new Set<string>(), proxies: new Set<Proxy>() };
  routes.hostFailed(A);
  routes.hostFailed(A);
  routes.proxyFailed(P);
  assert.deepEqual(routes.next(none), { host: B, proxy: Q });
  clock.time += 10_000;
  assert.deepEqual(routes.next(none), { host: B, proxy: P });
  clock.time += 50_000;
  assert.deepEqual(routes.next(none), { host: A, proxy: P });
});

test('load is shared within a group', () => {
  const proxies = Array.from({ length: 8 }, (_, n) => `http://p${n}`);
  const first = () => {
    const { clock } = routesOf([A]);
    const options = {
      hosts: [A],
      proxies: [proxies],
      hostResetMs: 1,
      proxyResetMs: 1,
      clock,
      random: Math.random,
    };
    return new Routes(options).next({ hosts: new Set(), proxies: new Set() })?.proxy;
  };
  assert.ok(new Set(Array.from({ length: 100 }, first)).size > 1);
});

test('who is to blame for an answer', () => {
  const direct = { host: A, proxy: null };
  const proxied = { host: A, proxy: P };
  const blame = (statusCode: number, route = proxied, headers = {}) =>
    statusFailure({ statusCode, headers }, route)?.blame;
  assert.equal(blame(200), undefined);
  for (const status of [400, 404, 429, 500, 503, 302]) assert.equal(blame(status), 'host', String(status));
  for (const status of [403, 407, 206]) assert.equal(blame(status), 'proxy', String(status));
  assert.equal(blame(403, { ...direct, proxy: null } as never), 'host');
  assert.equal(blame(503, proxied, { 'x-squid-error': 'ERR_CONNECT_FAIL 113' }), 'proxy');
  assert.equal(
    networkFailure(Object.assign(new Error('x'), { code: 'ECONNREFUSED' }), proxied).blame,
    'proxy',
  );
  assert.equal(networkFailure(Object.assign(new Error('x'), { code: 'ENOTFOUND' }), direct).accident, false);
});
