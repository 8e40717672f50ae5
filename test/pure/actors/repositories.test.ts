/** Repositories: one mount however many ask, held while anybody needs it, lost and found again. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';

import { Feed } from '../../../actors/feed.js';
import { Repositories } from '../../../actors/repositories.js';
import { ThinlayerError } from '../../../src/core/errors.js';
import { fakeRepositorySource } from '../../fakes/repository-source.js';
import type { FakeRepositorySource } from '../../fakes/repository-source.js';
import { signalled } from '../../fakes/signalled.js';
import { settled } from './harness.js';

const R = 'a.example.org';
const S = 'b.example.org';
const GRACE = 1000;

/** The clock is the test's: see `t.mock.timers`. */
function repositoriesOn(t: TestContext, source: FakeRepositorySource = fakeRepositorySource()) {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const unprepared: unknown[] = [];
  const repositories = new Repositories(source, {
    feed: new Feed(() => 0),
    graceMs: GRACE,
    died: () => undefined,
    lost: () => undefined,
    late: () => undefined,
    unprepared: (cause) => void unprepared.push(cause),
  });
  t.after(() => repositories.stop());
  const states = () => [...repositories.states()].map((r) => `${r.repository} ${r.state} ${r.holders}`);
  return { source, repositories, states, unprepared };
}

const broken = new ThinlayerError('unavailable', 'the server of a.example.org does not answer');

test('64 leases at once make one mount, and each is answered with it', async (t) => {
  const { source, repositories, states } = repositoriesOn(t);
  const holders = Array.from({ length: 64 }, (_, i) => `layer ${i}`);
  const leases = await Promise.all(holders.map((holder) => repositories.lease(holder, [R])));
  assert.deepEqual(leases[63]?.get(R), {
    path: `/cvmfs/${R}`,
    revision: 1,
    anew: true,
    whiteouts: ['layers', '.layers'],
  });
  assert.deepEqual(source.calls, [`resolve ${R}`, `acquire ${R}`]);
  assert.deepEqual(states(), [`${R} mounted 64`]);
});

test('a repository is unmounted a while after its last holder went, and mounted again at need', async (t) => {
  const { source, repositories, states } = repositoriesOn(t);
  await repositories.lease('x', [R]);
  await repositories.lease('y', [R]);
  await repositories.release('x', [R]);
  t.mock.timers.tick(GRACE * 2);
  assert.deepEqual(states(), [`${R} mounted 1`]);
  await repositories.release('y', [R]);
  t.mock.timers.tick(GRACE - 1);
  assert.deepEqual(states(), [`${R} mounted 0`]);
  t.mock.timers.tick(1);
  await settled();
  assert.deepEqual(states(), [`${R} applied 0`]);
  assert.deepEqual([...source.mounted], []);
  await repositories.lease('z', [R]);
  assert.deepEqual(states(), [`${R} mounted 1`]);
});

test('a lease within the grace period keeps the mount', async (t) => {
  const { source, repositories } = repositoriesOn(t);
  await repositories.lease('x', [R]);
  await repositories.release('x', [R]);
  t.mock.timers.tick(GRACE - 1);
  await repositories.lease('y', [R]);
  t.mock.timers.tick(GRACE * 2);
  assert.deepEqual(source.calls, [`resolve ${R}`, `acquire ${R}`]);
});

test('what is mounted ahead waits for its first holder through the time of grace', async (t) => {
  const { source, repositories, states } = repositoriesOn(t);
  await repositories.prepare([R]);
  assert.deepEqual(states(), [`${R} mounted 0`]);
  await repositories.lease('x', [R]);
  assert.deepEqual(source.calls, [`resolve ${R}`, `acquire ${R}`]);
});

test('what cannot be mounted ahead is told, and refused to the first holder with the same cause', async (t) => {
  const source = fakeRepositorySource({ acquire: () => Promise.reject(broken) });
  const { repositories, states, unprepared } = repositoriesOn(t, source);
  await repositories.prepare([R]);
  assert.deepEqual(unprepared, [broken]);
  await assert.rejects(repositories.lease('x', [R]), { message: /does not answer/ });
  assert.deepEqual(states(), [`${R} failed 0`]);
});

test('of several repositories all are held, or none', async (t) => {
  const source = fakeRepositorySource({
    acquire: (repository) =>
      repository === S ? Promise.reject(broken) : Promise.resolve(undefined as never),
  });
  const { repositories, states } = repositoriesOn(t, source);
  await assert.rejects(repositories.lease('x', [R, S]), { code: 'unavailable' });
  assert.deepEqual(states(), [`${R} mounted 0`, `${S} failed 0`]);
});

test('a failed repository refuses at once with its cause, and tries again when its back-off is over', async (t) => {
  let failures = 2;
  const source = fakeRepositorySource({
    resolve: () => (failures-- > 0 ? Promise.reject(broken) : Promise.resolve()),
  });
  const { repositories, states } = repositoriesOn(t, source);
  await assert.rejects(repositories.lease('x', [R]), { message: broken.message });
  await assert.rejects(repositories.lease('x', [R]), {
    code: 'unavailable',
    message: /does not answer.*next try/,
  });
  assert.equal(source.calls.length, 1);
  t.mock.timers.tick(1000);
  await assert.rejects(repositories.lease('x', [R]), { message: broken.message });
  t.mock.timers.tick(1000);
  assert.deepEqual(states(), [`${R} failed 0`]);
  t.mock.timers.tick(1000);
  await repositories.lease('x', [R]);
  assert.deepEqual(states(), [`${R} mounted 1`]);
});

test('a lost mount is made again while somebody holds it', async (t) => {
  const { source, repositories, states } = repositoriesOn(t);
  await repositories.lease('x', [R]);
  source.lose(R, broken);
  await settled();
  assert.deepEqual(source.calls, [`resolve ${R}`, `acquire ${R}`, `acquire ${R}`]);
  assert.deepEqual(states(), [`${R} mounted 1`]);
});

test('a mount that stays lost is tried again and again, and new leases are told why it is gone', async (t) => {
  let up = true;
  const source = fakeRepositorySource({
    acquire: () => (up ? Promise.resolve(undefined as never) : Promise.reject(broken)),
  });
  const { repositories, states } = repositoriesOn(t, source);
  await repositories.lease('x', [R]);
  up = false;
  source.lose(R, broken);
  await settled();
  assert.deepEqual(states(), [`${R} failed 1`]);
  await assert.rejects(repositories.lease('y', [R]), { message: /does not answer/ });
  t.mock.timers.tick(1000);
  await settled();
  assert.deepEqual(states(), [`${R} failed 1`]);
  up = true;
  t.mock.timers.tick(2000);
  await settled();
  assert.deepEqual(states(), [`${R} mounted 1`]);
});

test('who gives up waiting holds nothing', async (t) => {
  const hold = signalled();
  const source = fakeRepositorySource({ resolve: () => hold.promise });
  const { repositories, states } = repositoriesOn(t, source);
  const gone = new AbortController();
  const lease = repositories.lease('x', [R], { signal: gone.signal });
  const other = repositories.lease('y', [R]);
  gone.abort();
  await assert.rejects(lease, { code: 'aborted' });
  hold.signal();
  await other;
  assert.deepEqual(states(), [`${R} mounted 1`]);
});

test('a lease while the repository is being unmounted mounts it again', async (t) => {
  const hold = signalled();
  const source = fakeRepositorySource({ release: () => hold.promise });
  const { repositories, states } = repositoriesOn(t, source);
  await repositories.lease('x', [R]);
  await repositories.release('x', [R]);
  t.mock.timers.tick(GRACE);
  assert.deepEqual(states(), [`${R} unmounting 0`]);
  const lease = repositories.lease('y', [R]);
  hold.signal();
  await lease;
  assert.deepEqual(states(), [`${R} mounted 1`]);
});

test('what nobody holds is unmounted at once when it is asked for; what is held stays', async (t) => {
  const { source, repositories, states } = repositoriesOn(t);
  await repositories.lease('x', [R, S]);
  await repositories.release('x', [R]);
  await repositories.retire();
  assert.deepEqual(states(), [`${R} applied 0`, `${S} mounted 1`]);
  assert.deepEqual([...source.mounted], [S]);
  await repositories.retire();
  await repositories.lease('y', [R]);
  assert.deepEqual(states(), [`${R} mounted 1`, `${S} mounted 1`]);
});

test('what is given back while it is being mounted is unmounted when that is done', async (t) => {
  const hold = signalled();
  const source = fakeRepositorySource({ resolve: () => hold.promise });
  const { repositories, states } = repositoriesOn(t, source);
  repositories.adopt(R, ['x']);
  await repositories.release('x', [R]);
  const lease = repositories.lease('y', [S]);
  const retired = repositories.retire();
  hold.signal();
  await Promise.all([lease, retired]);
  assert.deepEqual(states(), [`${R} applied 0`, `${S} mounted 1`]);
});

test('an unmount that fails is told to who asked for it', async (t) => {
  const source = fakeRepositorySource({ release: () => Promise.reject(broken) });
  const { repositories, states } = repositoriesOn(t, source);
  await repositories.lease('x', [R]);
  await repositories.release('x', [R]);
  await assert.rejects(repositories.retire(), { message: broken.message });
  assert.deepEqual(states(), [`${R} failed 0`]);
});

test('what a killed daemon left mounted for nobody is unmounted, unless it is wanted again', async (t) => {
  const hold = signalled();
  const source = fakeRepositorySource({ resolve: (name) => (name === S ? hold.promise : Promise.resolve()) });
  const { repositories, states } = repositoriesOn(t, source);
  repositories.drop(R);
  repositories.drop(S);
  await settled();
  assert.deepEqual(states(), [`${R} applied 0`, `${S} creating 0`]);
  const lease = repositories.lease('x', [S]);
  hold.signal();
  await lease;
  assert.deepEqual(states(), [`${R} applied 0`, `${S} mounted 1`]);
  assert.ok(source.calls.includes(`release ${R}`) && !source.calls.includes(`acquire ${R}`));
});

test('what mounted layers hold is mounted at the start', async (t) => {
  const { source, repositories, states } = repositoriesOn(t);
  repositories.adopt(R, ['x', 'y']);
  await settled();
  assert.deepEqual(states(), [`${R} mounted 2`]);
  assert.deepEqual(source.calls, [`resolve ${R}`, `acquire ${R}`]);
});

test('a refresh answers the new revision; of what is not mounted it is refused', async (t) => {
  const { repositories } = repositoriesOn(t);
  await assert.rejects(repositories.refresh(R), { code: 'failed_precondition' });
  await repositories.lease('x', [R]);
  assert.deepEqual(await repositories.refresh(R), {
    path: `/cvmfs/${R}`,
    revision: 2,
    anew: false,
    whiteouts: ['layers', '.layers'],
  });
});

test('who asks for a refresh while there is one waits for the next: one for all of them', async (t) => {
  const holds = [signalled(), signalled(), signalled()];
  let begun = 0;
  const source = fakeRepositorySource({
    refresh: async () => {
      await holds[begun++]?.promise;
      if (begun === 2) throw broken;
      return { path: 'of the fake', revision: null, anew: false, whiteouts: [] };
    },
  });
  const { repositories, states } = repositoriesOn(t, source);
  await repositories.lease('x', [R]);
  const first = repositories.refresh(R);
  await settled();
  const [second, third] = [repositories.refresh(R), repositories.refresh(R)];
  holds[0]?.signal();
  assert.equal((await first).revision, 2);
  await settled();
  assert.equal(begun, 2);
  const fourth = repositories.refresh(R);
  holds[1]?.signal();
  await assert.rejects(second, broken);
  await assert.rejects(third, broken);
  holds[2]?.signal();
  assert.equal((await fourth).revision, 3);
  assert.equal(begun, 3);
  assert.deepEqual(states(), [`${R} mounted 1`]);
});

test('a mount that is lost during a refresh is told to all who wait for one', async (t) => {
  const source = fakeRepositorySource({ refresh: () => new Promise(() => undefined) });
  const { repositories } = repositoriesOn(t, source);
  await repositories.lease('x', [R]);
  const refreshes = [repositories.refresh(R), repositories.refresh(R)];
  await settled();
  source.lose(R, broken);
  for (const refresh of refreshes) await assert.rejects(refresh, broken);
});

test('a stopped registry answers who still waits', async (t) => {
  const source = fakeRepositorySource({ resolve: () => new Promise(() => undefined) });
  const { repositories } = repositoriesOn(t, source);
  const lease = repositories.lease('x', [R]);
  repositories.stop();
  await assert.rejects(lease, { code: 'unavailable' });
});

test('who holds a repository that has to be mounted anew stands on what is no more', async (t) => {
  const { source, repositories } = repositoriesOn(t);
  await repositories.lease('before', [S]);
  source.lose(S, broken);
  await repositories.lease('after', [S]);
  assert.equal(repositories.stranded.causeOf('before'), broken.message);
  assert.ok(!repositories.stranded.has('after'));

  repositories.adopt(R, ['killed together with it']);
  await repositories.lease('new', [R]);
  assert.match(
    repositories.stranded.causeOf('killed together with it') ?? '',
    /served .* ended while no thinlayerd ran/,
  );
  assert.ok(!repositories.stranded.has('new'));
});

test('who holds one that was mounted all the time stands well', async (t) => {
  const source = fakeRepositorySource();
  await source.acquire(R, {});
  const { repositories } = repositoriesOn(t, source);
  repositories.adopt(R, ['x']);
  await repositories.lease('y', [R]);
  assert.ok(!repositories.stranded.has('x'));
});

test('a few at once look into one repository: one that hangs holds up no other', async (t) => {
  const { repositories } = repositoriesOn(t);
  const hold = signalled();
  let looking = 0;
  const hang = () => repositories.look(R, () => (++looking, hold.promise), {});
  const hanging = Array.from({ length: 9 }, hang);
  await settled();
  assert.equal(looking, 4);
  assert.equal(await repositories.look(S, () => Promise.resolve('seen'), {}), 'seen');
  const giveUp = new AbortController();
  const impatient = repositories.look(R, () => Promise.resolve(), { signal: giveUp.signal });
  giveUp.abort();
  await assert.rejects(impatient, { code: 'aborted' });
  hold.signal();
  await Promise.all(hanging);
  assert.equal(looking, 9);
});

test('as many as want may wait for their look', async (t) => {
  const { repositories } = repositoriesOn(t);
  const looks = Array.from({ length: 5000 }, (_, n) => repositories.look(R, () => Promise.resolve(n), {}));
  assert.equal((await Promise.all(looks)).at(-1), 4999);
});

test('where only the connection was lost, and the mount was there all the time, its holders stand well', async (t) => {
  const there = { path: `/cvmfs/${R}`, revision: 1, anew: false, whiteouts: [] };
  const source = fakeRepositorySource({ acquire: () => Promise.resolve(there) });
  const { repositories } = repositoriesOn(t, source);
  await repositories.lease('x', [R]);
  source.lose(R, broken);
  assert.ok(repositories.stranded.has('x'));
  await repositories.lease('y', [R]);
  assert.ok(!repositories.stranded.has('x'));
});
