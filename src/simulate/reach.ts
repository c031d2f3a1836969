import type { UnixMillis } from '../model/time.ts';
import { clip, intersect, totalTime, type Span } from '../schedule/spans.ts';
import { intervalsBetween, type Windows } from '../schedule/windows.ts';
import type { Fleet, FleetClient, FleetSnapshot } from './fleet.ts';

/** Tells whether a snapshot could have been collected had there been no other: what no order of turns can change. */
export class Reach {
  readonly #fleet: Fleet;
  readonly #open = new Map<string, readonly Span[]>();

  constructor(fleet: Fleet) {
    this.#fleet = fleet;
  }

  /** Milliseconds before `by` in which it is ready, its client connected, and both windows open. */
  timeFor(client: FleetClient, snapshot: FleetSnapshot, by: UnixMillis): number {
    const open = clip(this.#openFor(snapshot.windows ?? client.windows), snapshot.readyAt, by);
    return totalTime(client.online === null ? open : intersect(open, client.online));
  }

  within(client: FleetClient, snapshot: FleetSnapshot, by: UnixMillis): boolean {
    const limit = this.#fleet.lines[client.line]!.capacity[0]!.value;
    const speed = Math.min(client.speed, limit);
    return this.timeFor(client, snapshot, by) >= (snapshot.bytes / speed) * 1000 + OVERHEAD_MS;
  }

  #openFor(windows: Windows): readonly Span[] {
    const known = this.#open.get(windows.text);
    if (known !== undefined) return known;
    const { from, until, conditions } = this.#fleet;
    const open = intersect(
      intervalsBetween(windows, from, until),
      intervalsBetween(conditions.windows, from, until),
    );
    this.#open.set(windows.text, open);
    return open;
  }
}

/** An order and a receipt. */
const OVERHEAD_MS = 2000;
