/** A driver served on a socket with nothing in front of it: what the direct benchmarks measure. */

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pluginSocket, startPlugin } from '../system/drivers.js';
import { Jail } from '../system/jail.js';
import { waitFor } from '../system/process.js';
import { PluginClient } from './client.js';
import type { PluginName } from '../system/drivers.js';
import type { Daemon } from '../system/jail.js';

export interface PeerKind {
  /** As the tables show it. */
  readonly label: string;
  readonly driver: PluginName;
  readonly options: readonly string[];
}

/** The one that the others are divided by. */
export const O2SERVE: PeerKind = { label: 'o2serve', driver: 'o2serve', options: [] };
export const THINLAYER: PeerKind = { label: 'thinlayer', driver: 'thinlayer', options: [] };
/** o2serve never syncs: this is the like-for-like comparison. */
export const THINLAYER_OFF: PeerKind = {
  label: 'thinlayer sync=off',
  driver: 'thinlayer',
  options: ['thinlayer.sync=off'],
};

export class Peer implements AsyncDisposable {
  readonly kind: PeerKind;
  readonly jail: Jail;
  client: PluginClient;
  private daemon: Daemon;

  private constructor(kind: PeerKind, jail: Jail, daemon: Daemon) {
    this.kind = kind;
    this.jail = jail;
    this.daemon = daemon;
    this.client = new PluginClient(pluginSocket(jail));
  }

  static async start(kind: PeerKind): Promise<Peer> {
    const jail = await Jail.make();
    const peer = new Peer(kind, jail, await startPlugin(jail, kind.driver));
    await peer.init();
    return peer;
  }

  get home(): string {
    return join(this.jail.directory, 'home');
  }

  /** As dockerd does at its start. */
  async init(): Promise<void> {
    await this.client.call('Init', {
      Home: this.home,
      Opts: this.kind.options,
      UIDMaps: null,
      GIDMaps: null,
    });
  }

  /** Ends the daemon and starts it again; gives the milliseconds until it answers a call about `id`. */
  async restart(id: string): Promise<number> {
    this.client.close();
    await this.daemon.stop();
    const start = performance.now();
    this.daemon = await startPlugin(this.jail, this.kind.driver);
    this.client = new PluginClient(pluginSocket(this.jail));
    // thinlayer remembers dockerd's last Init, and has opened its home before it listens.
    if (this.kind.driver !== 'thinlayer') await this.init();
    await waitFor(
      `layer ${id}`,
      async () => (await this.client.call('Exists', { ID: id }))['Exists'] === true || undefined,
    );
    return performance.now() - start;
  }

  /** Resident memory in bytes: now, and at its highest since `forgetPeak`. */
  async memory(): Promise<{ now: number; peak: number }> {
    const status = await readFile(`/proc/${this.daemon.pid}/status`, 'utf8');
    const kilobytes = (key: string) => Number(new RegExp(`${key}:\\s+(\\d+)`).exec(status)?.[1]) * 1024;
    return { now: kilobytes('VmRSS'), peak: kilobytes('VmHWM') };
  }

  forgetPeak(): Promise<void> {
    return writeFile(`/proc/${this.daemon.pid}/clear_refs`, '5');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.client.close();
    await this.jail.close();
  }
}

/**
 * Runs `body` with all of them started, and ends them whatever happens. `scratch` is a directory that goes with them,
 * also when the benchmark is killed.
 */
export async function withPeers(
  kinds: readonly PeerKind[],
  body: (peers: Peer[], scratch: string) => Promise<void>,
): Promise<void> {
  await using jail = await Jail.make();
  const peers: Peer[] = [];
  try {
    for (const kind of kinds) peers.push(await Peer.start(kind));
    await body(peers, jail.directory);
  } finally {
    for (const peer of peers) await peer[Symbol.asyncDispose]();
  }
}
