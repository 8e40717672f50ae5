/** A container as far as a driver is concerned: an attached layer in which a process lives. */

import assert from 'node:assert/strict';
import { appendFile, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';

import type { Daemon as Process } from '../system/jail.js';
import { waitFor } from '../system/process.js';
import type { Daemon } from './daemon.js';

export class RunningContainer {
  readonly id: string;
  private readonly daemon: Daemon;
  private readonly process: Process;
  private text = '';

  private constructor(daemon: Daemon, id: string, process: Process) {
    this.daemon = daemon;
    this.id = id;
    this.process = process;
  }

  static async start(daemon: Daemon, id: string, parent: string): Promise<RunningContainer> {
    await daemon.client.createReadWrite(id, parent);
    const merged = await daemon.client.get(id);
    const command = ['sh', '-c', `cd '${merged}' && exec sleep infinity`];
    const process = await daemon.jail.start({ name: id, command, log: daemon.path(`${id}.log`) });
    const container = new RunningContainer(daemon, id, process);
    await container.enter(merged);
    return container;
  }

  /**
   * The process still sees its files, in the mount that dockerd is told of, and can write. Counted are uses as
   * dockerd with live-restore ends them: a Get and a Put change nothing.
   */
  async check(): Promise<void> {
    const merged = await this.daemon.client.get(this.id);
    await this.daemon.client.put(this.id);
    const [ours, told] = await Promise.all([stat(this.root), stat(this.daemon.inside(merged))]);
    assert.equal(ours.dev, told.dev, `${this.id} lives in the mount of its layer`);
    assert.equal(await readFile(join(this.root, 'mark'), 'utf8'), 'base');
    await appendFile(join(this.root, 'log'), 'written\n');
    this.text += 'written\n';
    assert.equal(await readFile(join(this.daemon.home, this.id, 'diff/log'), 'utf8'), this.text);
  }

  /** Its last use ends: the mount goes. */
  async stop(): Promise<void> {
    await this.check();
    await this.process.stop('SIGKILL');
    await this.daemon.client.put(this.id);
    assert.ok(!(await this.daemon.mounts()).includes(join(this.daemon.home, this.id, 'merged')));
  }

  /** Its working directory, whatever is mounted where. */
  private get root(): string {
    return `/proc/${this.process.pid}/cwd`;
  }

  private enter(merged: string): Promise<unknown> {
    return waitFor(`${this.id} in ${merged}`, async () => {
      const [ours, told] = await Promise.all([stat(this.root), stat(this.daemon.inside(merged))]);
      return ours.dev === told.dev || undefined;
    });
  }
}
