/** The graph-driver server over a fake service, on a socket of its own, for the length of one test. */

import type { ThinlayerError } from '../../../src/core/errors.js';
import type { LayerService } from '../../../src/core/service.js';
import { createGraphDriverServer } from '../../../src/frontends/graphdriver/server.js';
import type { InitRequest } from '../../../src/frontends/graphdriver/wire.js';
import { listening } from '../../fakes/listening.js';
import { RawConnection } from '../../fakes/raw-connection.js';
import { fakeService } from '../../fakes/service.js';
import type { FakeService } from '../../fakes/service.js';

export interface LoggedCall {
  readonly method: string;
  readonly ms: number;
  readonly status: number;
  readonly error?: ThinlayerError;
}

export interface Driver {
  readonly service: FakeService;
  readonly inits: InitRequest[];
  readonly logged: LoggedCall[];
  readonly path: string;
  connect(): Promise<RawConnection>;
}

export async function withDriver(
  methods: Partial<LayerService>,
  body: (driver: Driver) => Promise<void>,
): Promise<void> {
  const service = fakeService(methods);
  const inits: InitRequest[] = [];
  const logged: LoggedCall[] = [];
  const init = async (request: InitRequest) => void inits.push(request);
  const server = createGraphDriverServer({ service, init, log: (call) => logged.push(call) });
  const { path, close } = await listening(server);
  try {
    await body({ service, inits, logged, path, connect: () => RawConnection.open(path) });
  } finally {
    await close();
  }
}

/** The answer to one call on a connection of its own. */
export async function callOnce(driver: Driver, method: string, json: unknown) {
  const connection = await driver.connect();
  connection.call(method, json);
  const { status, body, whole } = await connection.answer();
  connection.close();
  return { status, whole, json: JSON.parse(body) as Record<string, unknown> };
}
