import type { Supervisor } from '../../../actors/supervisor.js';
import { serviceSuite } from '../../conformance/service.js';
import type { TestedService } from '../../conformance/service.js';
import { archiveOf } from '../../fakes/archive.js';
import { fakeEngine } from '../../fakes/engine.js';
import { openedOn } from './harness.js';

export function tested(supervisor: Supervisor): TestedService {
  return Object.assign(supervisor, {
    exists: async (id: Parameters<TestedService['exists']>[0]) => supervisor.stat(id) !== undefined,
  });
}

serviceSuite('supervisor', async () => {
  const { supervisor } = await openedOn(fakeEngine());
  return {
    service: tested(supervisor),
    archive: async (names) => archiveOf(names),
    close: () => supervisor.drain(),
  };
});
