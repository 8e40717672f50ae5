/** A Supervisor over fakes, with its home open. */

import { Supervisor } from '../../../actors/supervisor.js';
import type { LayerId } from '../../../src/core/model.js';
import type { Engine } from '../../../src/core/ports.js';
import type { ByteStream, HomeConfig } from '../../../src/core/service.js';
import { archiveOf } from '../../fakes/archive.js';
import { fakeConfig, fakeEngine } from '../../fakes/engine.js';

export interface Opened {
  readonly supervisor: Supervisor;
  /** Layers whose actors died. */
  readonly deaths: LayerId[];
  /** Layers that went with their image. */
  readonly leftovers: LayerId[];
  /** What was told of waits for repositories, and for calls. */
  readonly late: string[];
  /** Milliseconds that the clock shows. */
  time: number;
}

export function supervisorWith(openEngine: (config: HomeConfig) => Promise<Engine>): Opened {
  const opened = {
    deaths: [] as LayerId[],
    leftovers: [] as LayerId[],
    late: [] as string[],
    time: 1_000_000,
  };
  const supervisor = new Supervisor({
    openEngine,
    now: () => opened.time,
    died: (id) => opened.deaths.push(id),
    leftoverRemoved: (id) => opened.leftovers.push(id),
    usesUnkept: () => undefined,
    repositoryDied: () => undefined,
    repositoryLeft: () => undefined,
    repositoryLost: () => undefined,
    repositoryLate: ({ message }) => void opened.late.push(message),
    repositoryUnprepared: () => undefined,
    closingLate: (calls) => void opened.late.push(`closing waits for ${calls}`),
    version: '1.2.3',
  });
  return Object.assign(opened, { supervisor });
}

/** Another opening gives another, empty home. */
export async function openedOn(engine: Engine): Promise<Opened> {
  const engines = [engine];
  const opened = supervisorWith(() => Promise.resolve(engines.pop() ?? fakeEngine()));
  await opened.supervisor.open(fakeConfig());
  return opened;
}

/** Promises settle; no time passes. */
export async function settled(): Promise<void> {
  for (let i = 0; i < 20; i++) await Promise.resolve();
}

export function id(text: string): LayerId {
  return text as LayerId;
}

/** A base layer and a container on it. */
export async function makePair(supervisor: Supervisor, base = 'base', top = 'top'): Promise<void> {
  await supervisor.create(id(base), null, 'image', {});
  await supervisor.create(id(top), id(base), 'container', {});
}

export async function* tarOf(...names: string[]): ByteStream {
  yield archiveOf(names);
}

export async function textOf(stream: ByteStream): Promise<string> {
  let text = '';
  for await (const chunk of stream) text += Buffer.from(chunk).toString();
  return text;
}
