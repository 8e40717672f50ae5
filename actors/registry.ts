/**
 * The layer actors of one opened home: root actors in a Map (children of one parent would cost a copy of its
 * children map each, 6 to 9 ms at 10,000 layers). An actor is made at the first request. When its
 * layer is not mounted and nobody waits, it may rest for a while, since dockerd asks for the same few layers again
 * and again; the longest resting are dropped, for what they know is on disk. So there are about as many actors as mounts.
 */

import { createActor } from 'xstate';
import type { ActorRefFrom } from 'xstate';

import { ThinlayerError } from '../src/core/errors.js';
import type { LayerId } from '../src/core/model.js';
import type { Engine } from '../src/core/ports.js';
import type { LayerRequest, ReplyValue, Unnumbered } from '../src/core/request.js';
import { Mailbox } from './ask.js';
import type { Feed } from './feed.js';
import { Gate } from './gate.js';
import { layerMachineOn } from './layer.logic.js';
import type { Grounds } from './lowers.js';
import type { ProvidedLayerMachine } from './layer.logic.js';
import type { layerMachine } from './layer.machine.js';
import { Quarantine } from './quarantine.js';
import { stateName } from './state-name.js';

/** Actors that rest. Making one costs more than a small call, keeping one about 10 kB. */
const MAX_RESTING = 128;

/** So many uses of a layer are counted one by one on disk, which is exact whenever a call is answered. */
const FEW = 4;

/** A crowd takes and gives uses in turns: the disk follows when it is through. */
const LATER_MS = 1000;

/** Of a crowd the disk knows the next power of two: after a kill too many uses are no harm, and Cleanup takes them back. */
function roomFor(uses: number): number {
  return uses <= FEW ? uses : 2 ** Math.ceil(Math.log2(uses));
}

type LayerActor = ActorRefFrom<typeof layerMachine>;
type LayerMailbox = Mailbox<LayerRequest, ReplyValue>;

interface Entry {
  readonly gate: Gate;
  actor: LayerActor | undefined;
  mailbox: LayerMailbox | undefined;
}

export interface RegistryOptions {
  readonly feed: Feed;
  readonly now: () => number;
  /** Told of each actor that died, for the log. */
  readonly died: (id: LayerId, cause: unknown) => void;
  /** Told why the number of a layer's uses could not be kept for the next daemon, for the log. */
  readonly usesUnkept: (id: LayerId, cause: unknown) => void;
}

export class LayerRegistry {
  readonly #engine: Engine;
  readonly #options: RegistryOptions;
  readonly #machine: ProvidedLayerMachine;
  readonly #entries = new Map<LayerId, Entry>();
  /** Layers whose actor may be dropped, the longest resting first. */
  readonly #resting = new Set<LayerId>();
  readonly #quarantine: Quarantine;
  /** Mounted layers and their uses: what an actor made now, or a daemon that comes next, has to know. */
  readonly #mounted: Map<LayerId, number>;
  /** Of those with more than one use, what is kept on disk. */
  readonly #kept: Map<LayerId, number>;
  /** Of layers whose number is being written. */
  readonly #keeping = new Map<LayerId, Promise<void>>();
  /** Layers of whose crowd more is kept than is left. */
  readonly #late = new Set<LayerId>();
  #timer: NodeJS.Timeout | undefined;

  readonly #stopWatching: () => void;

  constructor(grounds: Grounds, options: RegistryOptions) {
    const { engine } = grounds;
    this.#engine = engine;
    this.#options = options;
    this.#machine = layerMachineOn(grounds);
    this.#mounted = new Map(engine.mounted);
    this.#kept = new Map([...engine.mounted].filter(([, uses]) => uses > 1));
    this.#quarantine = new Quarantine(options.now);
    this.#stopWatching = options.feed.whenWatched(() => this.#watchActors());
  }

  /** One question to the actor, when all that came before for this layer is answered. Rejects as `Gate.pass` and `Mailbox.ask` do. */
  ask(id: LayerId, request: Unnumbered, signal?: AbortSignal): Promise<ReplyValue> {
    const entry = this.#entry(id);
    this.#resting.delete(id);
    const turn = async () => {
      try {
        return await this.#mailbox(id, entry).ask(request);
      } finally {
        this.#noteMount(id, entry);
      }
    };
    return entry.gate.pass(turn, signal).finally(() => {
      this.#rest(id, entry);
      // The next in the queue need not wait for the disk.
      return this.#keeping.get(id);
    });
  }

  /** True if nobody works on the layer or waits to, and it is not mounted: what the store says of it is all there is. */
  idle(id: LayerId): boolean {
    return !this.#mounted.has(id) && (this.#entries.get(id)?.gate.idle ?? true);
  }

  /** The state of each layer that is mounted or worked on, by its name in the machine; for reports. */
  *states(): Iterable<{ id: LayerId; state: string; uses: number; mounted: boolean }> {
    for (const [id, { actor }] of this.#entries) {
      const snapshot = actor?.getSnapshot();
      if (!snapshot || this.#resting.has(id)) continue;
      const { uses, mounted } = snapshot.context;
      yield { id, state: stateName(snapshot.value), uses, mounted };
    }
    for (const id of this.#mounted.keys()) {
      if (!this.#entries.get(id)?.actor) yield { id, ...this.#beforeItsActor(id) };
    }
  }

  mountedLayers(): LayerId[] {
    return [...this.states()].filter((s) => s.mounted).map((s) => s.id);
  }

  /** Forgives a layer whose actor died too often (`repair`). */
  forgive(id: LayerId): void {
    this.#quarantine.forgive(id);
  }

  stop(): void {
    this.#stopWatching();
    clearTimeout(this.#timer);
    for (const { actor } of this.#entries.values()) actor?.stop();
    this.#entries.clear();
  }

  /** As an actor made now would start. */
  #beforeItsActor(id: LayerId): { state: string; uses: number; mounted: boolean } {
    const state = this.#engine.store.broken().has(id) ? 'failed' : 'mounted';
    return { state, uses: this.#mounted.get(id) ?? 1, mounted: true };
  }

  #watchActors(): void {
    for (const { actor } of this.#entries.values()) {
      if (actor) this.#options.feed.observe(actor);
    }
  }

  #entry(id: LayerId): Entry {
    const found = this.#entries.get(id);
    if (found) return found;
    const entry = { gate: new Gate(`layer ${id}`, { layer: id }), actor: undefined, mailbox: undefined };
    this.#entries.set(id, entry);
    return entry;
  }

  #mailbox(id: LayerId, entry: Entry): LayerMailbox {
    this.#quarantine.check(id);
    if (entry.mailbox && !this.#outdated(id, entry)) return entry.mailbox;
    entry.actor?.stop();
    return this.#start(id, entry);
  }

  #start(id: LayerId, entry: Entry): LayerMailbox {
    const { store } = this.#engine;
    const actor = createActor(this.#machine, {
      id,
      input: { id, info: store.get(id), broken: store.broken().get(id), uses: this.#mounted.get(id) ?? 0 },
    });
    const mailbox = new Mailbox(actor, `layer ${id}`, (cause) => {
      this.#quarantine.died(id);
      entry.actor = undefined;
      entry.mailbox = undefined;
      this.#options.died(id, cause);
    });
    entry.actor = actor;
    entry.mailbox = mailbox;
    this.#options.feed.observe(actor);
    actor.start();
    return mailbox;
  }

  #noteMount(id: LayerId, { actor }: Entry): void {
    if (!actor) return;
    const { mounted, uses } = actor.getSnapshot().context;
    // An unmount that failed leaves no use, and a mount: a next actor must not take the layer for unmounted.
    if (mounted) this.#mounted.set(id, Math.max(uses, 1));
    else this.#mounted.delete(id);
    const kept = this.#kept.get(id) ?? 1;
    if (uses > kept || (uses < kept && uses <= FEW)) this.#keepNow(id, roomFor(uses));
    else if (uses < kept) this.#keepLater(id);
  }

  /** Whoever is answered meanwhile waits for it as well: his use may be among those that it keeps. */
  #keepNow(id: LayerId, uses: number): void {
    const keeping = this.#keepUses(id, uses).then(() => {
      if (this.#keeping.get(id) === keeping) this.#keeping.delete(id);
    });
    this.#keeping.set(id, keeping);
  }

  #keepLater(id: LayerId): void {
    this.#late.add(id);
    this.#timer ??= setTimeout(() => void this.usesKept(), LATER_MS).unref();
  }

  /** Resolves when the numbers of uses on disk are exact: before the home is given back, and else a while after they fell. */
  async usesKept(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const late = [...this.#late];
    this.#late.clear();
    await Promise.all(late.map((id) => this.#keepUses(id, this.#mounted.get(id) ?? 0)));
  }

  async #keepUses(id: LayerId, uses: number): Promise<void> {
    if (uses > 1) this.#kept.set(id, uses);
    else if (!this.#kept.delete(id)) return;
    try {
      await this.#engine.uses.keep(id, uses);
    } catch (cause) {
      this.#options.usesUnkept(id, cause);
    }
  }

  /** A layer that rests may be broken, or mended, by what happened to those it stands on, and be found thin by a child of it. */
  #outdated(id: LayerId, { actor }: Entry): boolean {
    if (this.#mounted.has(id) || !actor) return false;
    const { store } = this.#engine;
    const { broken, info } = actor.getSnapshot().context;
    return broken !== store.broken().get(id) || info?.record !== store.get(id)?.record;
  }

  #rest(id: LayerId, entry: Entry): void {
    if (!entry.gate.idle || this.#mounted.has(id) || this.#entries.get(id) !== entry) return;
    if (!entry.actor || entry.actor.getSnapshot().matches('absent')) return this.#drop(id);
    this.#resting.add(id);
    const [longest] = this.#resting;
    if (this.#resting.size > MAX_RESTING && longest !== undefined) this.#drop(longest);
  }

  #drop(id: LayerId): void {
    this.#resting.delete(id);
    this.#entries.get(id)?.actor?.stop();
    this.#entries.delete(id);
  }
}

/** For a layer that has no actor: where it would come to rest. */
export function restingState(engine: Engine, id: LayerId): string {
  if (engine.store.broken().has(id)) return 'failed';
  const info = engine.store.get(id);
  if (!info) throw new ThinlayerError('not_found', `layer ${id} does not exist`, { layer: id });
  return info.record.state;
}
