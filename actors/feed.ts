/**
 * What the actors do, for whoever looks on: a bounded ring of short events made from XState's inspection. Costs
 * next to nothing while nobody looks, and never holds a body, a stream or a callback.
 */

import type { AnyActorRef, InspectionEvent } from 'xstate';

import { stateName } from './state-name.js';

export interface FeedEvent {
  /** Counts up from 1 without gaps: a reader that fell behind sees what it missed. */
  readonly sequence: number;
  readonly time: number;
  readonly actor: string;
  /** The event's type, like `layer.attach`. */
  readonly event: string;
  /** The state after it. */
  readonly state: string;
}

const RING_SIZE = 1000;

export class Feed {
  readonly #now: () => number;
  readonly #ring: FeedEvent[] = [];
  readonly #readers = new Set<(event: FeedEvent) => void>();
  readonly #observed = new WeakSet<AnyActorRef>();
  #sequence = 0;
  readonly #watchers = new Set<() => void>();

  constructor(now: () => number) {
    this.#now = now;
  }

  get watched(): boolean {
    return this.#readers.size > 0;
  }

  /** Calls `watch` when the first reader comes: actors are watched from then on only. Returns how to end that. */
  whenWatched(watch: () => void): () => void {
    this.#watchers.add(watch);
    return () => this.#watchers.delete(watch);
  }

  /** Looks on at a root actor, if anybody looks on at all; twice is the same as once. */
  observe(actor: AnyActorRef): void {
    if (!this.watched || this.#observed.has(actor)) return;
    this.#observed.add(actor);
    actor.system.inspect((inspection: InspectionEvent) => this.#inspect(inspection));
  }

  #inspect(inspection: InspectionEvent): void {
    if (!this.watched || inspection.type !== '@xstate.snapshot') return;
    const snapshot = inspection.snapshot as { value?: unknown };
    if (snapshot.value === undefined) return; // a promise actor: its machine's own transition tells the same
    this.#append((inspection.actorRef as AnyActorRef).id, inspection.event.type, stateName(snapshot.value));
  }

  /** Every event from now on goes to `reader`, which must not throw; the ring tells what came since the first reader. Returns how to stop. */
  read(reader: (event: FeedEvent) => void): () => void {
    const first = !this.watched;
    this.#readers.add(reader);
    if (first) for (const watch of this.#watchers) watch();
    return () => this.#readers.delete(reader);
  }

  /** The events after `sequence` that are still in the ring. */
  since(sequence: number): FeedEvent[] {
    return this.#ring.filter((event) => event.sequence > sequence);
  }

  #append(actor: string, event: string, state: string): void {
    const entry = { sequence: ++this.#sequence, time: this.#now(), actor, event, state };
    this.#ring.push(entry);
    if (this.#ring.length > RING_SIZE) this.#ring.shift();
    for (const reader of this.#readers) reader(entry);
  }
}
