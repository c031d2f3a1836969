import type { ClientId, SnapshotId } from '../model/ids.ts';
import type { UnixMillis } from '../model/time.ts';
import type { CenterConditions } from '../schedule/plan.ts';
import type { Span } from '../schedule/spans.ts';
import type { Windows } from '../schedule/weekly.ts';
import type { Steps } from './steps.ts';

/** A fleet that need not exist, with all chance taken out of it: what one night begins with. Rates are bytes per second. */
export interface Fleet {
  readonly name: string;
  /** Of the people who look at it. */
  readonly zone: string;
  readonly from: UnixMillis;
  readonly until: UnixMillis;
  /** The first is the center's own: everything flows over it last. */
  readonly lines: readonly FleetLine[];
  readonly clients: readonly FleetClient[];
  readonly conditions: CenterConditions;
  readonly restores: readonly FleetRestore[];
}

export interface FleetLine {
  readonly name: string;
  /** Index of the line after it; null for the center's own. */
  readonly parent: number | null;
  readonly capacity: Steps;
  /** What collection may take of it by the center's conditions; Infinity where they say nothing. */
  readonly cap: Steps;
  /** What people want of it beside collection. */
  readonly foreground: Steps;
  /** How fast one transfer of theirs would go. */
  readonly foregroundFlow: number;
}

export interface FleetClient {
  readonly id: ClientId;
  readonly name: string;
  readonly group: string;
  /** Index of its line. */
  readonly line: number;
  /** The most that it can send itself. */
  readonly speed: number;
  readonly windows: Windows;
  /** When it is connected; null: always. */
  readonly online: readonly Span[] | null;
  /** How long it used to stay connected before this night; null: nobody knows. */
  readonly session: number | null;
  /** In the order in which they were taken. */
  readonly snapshots: readonly FleetSnapshot[];
  /** How old the newest copy at the center may get, in milliseconds. */
  readonly target: number | null;
  /** Taken-at of what the center has when the night begins. */
  readonly lastCollected: UnixMillis | null;
  /** Transfers break off this often in an hour of sending. */
  readonly breaksPerHour: number;
  /** Accepts orders and sends nothing. */
  readonly mute: boolean;
}

export interface FleetSnapshot {
  readonly id: SnapshotId;
  /** Of its client; left out: all are of one. */
  readonly job?: string;
  /** In its job. */
  readonly sequence: number;
  /** When it may be sent; left out: as its client says of all. */
  readonly windows?: Windows;
  readonly bytes: number;
  /** What the planner is told; `bytes` unless something is wrong. */
  readonly announced: number;
  readonly readyAt: UnixMillis;
  readonly deadline: UnixMillis | null;
}

/** Restores that come first: they take `rate` of a line while they last. */
export interface FleetRestore extends Span {
  /** Index of the line; 0 is the center's own. */
  readonly line: number;
  readonly rate: number;
}
