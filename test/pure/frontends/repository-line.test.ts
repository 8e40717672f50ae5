import assert from 'node:assert/strict';
import { test } from 'node:test';

import { repositoryLine } from '../../../src/cli/repository-line.js';

const REPORT = { repository: 'a.example.org', state: 'mounted', holders: 2, cause: null, facts: null };
const PREFETCH = { recorded: 1, objects: 12, bytes: 3400, hits: 11, wastedBytes: 20 };
const FACTS = {
  revision: 7,
  host: 'http://h',
  offline: null,
  cacheBytes: 90,
  prefetch: PREFETCH,
  failure: null,
};

test('a line tells what is known of a repository, and what is wrong with it', () => {
  assert.equal(repositoryLine(REPORT), 'mounted       2  a.example.org  ');
  assert.equal(
    repositoryLine({ ...REPORT, facts: FACTS }),
    'mounted       2  a.example.org  revision 7; 90 bytes in the cache; ' +
      'fetched ahead 12 objects of 3400 bytes (opened 11, not opened 20 bytes), recorded 1 profiles',
  );
  const offline = { ...FACTS, prefetch: null, offline: 'no server answers' };
  assert.match(repositoryLine({ ...REPORT, facts: offline }), /cache; no server answers$/);
  assert.match(
    repositoryLine({ ...REPORT, state: 'failed', cause: 'not configured' }),
    /^failed .* not configured$/,
  );
});
