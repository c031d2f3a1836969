import type { Event, Problem, Progress } from '../model/events.ts';
import type { UnixMillis } from '../model/time.ts';
import type { Monitor } from '../world/ports.ts';
import type { Incarnation } from './incarnation.ts';
import { copyMessage } from './message.ts';

/** Something that a node told its monitor, and when (virtual time, not the node's own clock). */
export type Recorded = { readonly time: UnixMillis; readonly node: string } & (
  | { readonly what: 'event'; readonly event: Event }
  | { readonly what: 'problem'; readonly problem: Problem }
);

export type Listener = (record: Recorded) => void;

/** What all nodes of a simulation told, in order. */
export class Recorder {
  readonly records: Recorded[] = [];
  readonly #listeners = new Set<Listener>();

  /** @returns a function that ends it */
  listen(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  add(record: Recorded): void {
    this.records.push(record);
    for (const listener of this.#listeners) listener(record);
  }

  /** The events of one kind, of one node or of all. */
  events<Kind extends Event['kind']>(kind: Kind, node?: string): Extract<Event, { kind: Kind }>[] {
    return this.records.flatMap((record) =>
      record.what === 'event' && record.event.kind === kind && (node ?? record.node) === record.node
        ? [record.event as Extract<Event, { kind: Kind }>]
        : [],
    );
  }

  problems(node?: string): Problem[] {
    return this.records.flatMap((record) =>
      record.what === 'problem' && (node ?? record.node) === record.node ? [record.problem] : [],
    );
  }
}

/** The Monitor port; a dead incarnation has nothing to say. */
export function simulatedMonitor(
  recorder: Recorder,
  incarnation: Incarnation,
  onProgress: (progress: Progress) => void,
): Monitor {
  const head = (): { time: UnixMillis; node: string } => ({
    time: incarnation.simulation.now,
    node: incarnation.node,
  });
  return {
    event: (event) => {
      if (incarnation.alive) recorder.add({ ...head(), what: 'event', event: copyMessage(event).value });
    },
    problem: (problem) => {
      if (incarnation.alive)
        recorder.add({ ...head(), what: 'problem', problem: copyMessage(problem).value });
    },
    progress: (progress) => {
      if (incarnation.alive) onProgress(progress);
    },
  };
}
