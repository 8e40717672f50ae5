import { createGraphDriverServer } from '../../../src/frontends/graphdriver/server.js';
import { serviceSuite } from '../../conformance/service.js';
import { archiveOf } from '../../fakes/archive.js';
import { fakeEngine } from '../../fakes/engine.js';
import { GraphDriverClient } from '../../fakes/graphdriver-client.js';
import { listening } from '../../fakes/listening.js';
import { openedOn } from '../actors/harness.js';

serviceSuite('graph driver socket', async () => {
  const { supervisor } = await openedOn(fakeEngine());
  const init = () => Promise.reject(new Error('the home is open already'));
  const server = createGraphDriverServer({ service: supervisor, init, log: () => undefined });
  const { path, close } = await listening(server);
  const client = new GraphDriverClient(path);
  return {
    service: client,
    archive: async (names) => archiveOf(names),
    close: async () => {
      client.close();
      await close();
      await supervisor.drain();
    },
  };
});
