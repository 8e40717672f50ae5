/** A repository made for one test, and its server. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

import { serverOf } from '../unit/cvmfs/client.js';
import type { RepositoryServer } from '../unit/cvmfs/server.js';
import { newKeys } from './maker/keys.js';
import type { RepositoryKeys } from './maker/keys.js';
import { RepositoryMaker } from './maker/repository-maker.js';
import type { RepositoryOptions } from './maker/repository-maker.js';
import { MountedClient } from './mounted-client.js';
import type { MountedOptions } from './mounted-client.js';

/** Making them is slow. */
let keys: RepositoryKeys | null = null;

export class MadeRepository {
  readonly maker: RepositoryMaker;
  readonly server: RepositoryServer;

  private constructor(maker: RepositoryMaker, server: RepositoryServer) {
    this.maker = maker;
    this.server = server;
  }

  static async make(t: TestContext, options: Partial<RepositoryOptions> = {}): Promise<MadeRepository> {
    const directory = mkdtempSync(join(tmpdir(), 'thinlayer-made-'));
    t.after(() => rmSync(directory, { recursive: true }));
    keys ??= newKeys('made.example.org');
    const maker = new RepositoryMaker(directory, 'made.example.org', { keys, ...options });
    return new MadeRepository(maker, await serverOf(t, directory));
  }

  mount(t: TestContext, options: Partial<MountedOptions> = {}): Promise<MountedClient> {
    const key = this.maker.options.keys.masterPublicPem;
    return MountedClient.start(t, { name: 'made', key, servers: [this.server.url], ...options });
  }
}
