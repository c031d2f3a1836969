import { DAY_MS, HOUR_MS, SECOND_MS, type UnixMillis } from '../model/time.ts';
import type { Calendar, WeeklyTime } from './calendar-text.ts';
import { dayOf, includesDay } from './weekly.ts';
import { momentOf, offsetsOf, wallAt } from './zones.ts';

export { describeCalendar, parseCalendar, type Calendar } from './calendar-text.ts';

/** A week, and a day for zones that leave one out: every weekly time has a turn in it. */
const TURN_MS = 9 * DAY_MS;
/** What is further ahead than this was written by a clock that was wrong (S36). */
const BELIEVABLE_MS = HOUR_MS;
/** A clock may be set back a little between the turn and the backup: that must not make it due twice (S33). */
const SAME_MOMENT_MS = SECOND_MS;

export interface DueQuestion {
  /** Taken-at of the job's newest snapshot (by sequence, not by time), null if there is none. */
  readonly lastTaken: UnixMillis | null;
  /** When the job was made, or the agent first knew it. */
  readonly since: UnixMillis;
  readonly now: UnixMillis;
  /** Where in the interval of `every ..` this machine's turn is, 0 <= spread < 1 (S35). */
  readonly spread?: number;
}

/**
 * When the next backup is due (docs/scheduling.md S31-S36): not later than `now` means at once. Of turns that were
 * missed only the newest is due. Null: never by itself.
 */
export function dueAt(calendar: Calendar, question: DueQuestion): UnixMillis | null {
  const { since, now, spread } = question;
  if (spread !== undefined && !(spread >= 0 && spread < 1)) throw new RangeError('spread must be in [0, 1)');
  const believed = (at: UnixMillis | null): UnixMillis =>
    at === null || at > now + BELIEVABLE_MS ? Number.NEGATIVE_INFINITY : at;
  const known = { lastTaken: believed(question.lastTaken), since: believed(since), now };
  if (calendar.kind === 'manual') return null;
  if (calendar.kind === 'times') return timeDue(calendar.times, known);
  return intervalDue(calendar.interval, known, spread);
}

/** The same with everything that cannot be true turned into minus infinity. */
interface Known {
  readonly lastTaken: UnixMillis;
  readonly since: UnixMillis;
  readonly now: UnixMillis;
}

function timeDue(times: readonly WeeklyTime[], { lastTaken, since, now }: Known): UnixMillis | null {
  const turns = times.flatMap((time) => turnsOf(time, now - TURN_MS, now + TURN_MS));
  const open = turns.filter((turn) => turn > lastTaken + SAME_MOMENT_MS && turn >= since);
  const counting = open.sort((a, b) => a - b);
  return counting.findLast((turn) => turn <= now) ?? counting[0] ?? null;
}

/** Every turn in the range and perhaps some outside it. */
function turnsOf({ days, time, zone }: WeeklyTime, from: UnixMillis, to: UnixMillis): UnixMillis[] {
  const offsets = offsetsOf(zone, from - DAY_MS, to + DAY_MS);
  const turns: UnixMillis[] = [];
  const last = dayOf(wallAt(to, offsets));
  for (let day = dayOf(wallAt(from, offsets)); day <= last; day++) {
    if (includesDay(days, day)) turns.push(momentOf(day * DAY_MS + time * SECOND_MS, offsets));
  }
  return turns;
}

function intervalDue(interval: number, { lastTaken, since, now }: Known, spread?: number): UnixMillis {
  if (lastTaken === Number.NEGATIVE_INFINITY) return since === Number.NEGATIVE_INFINITY ? now : since;
  if (spread === undefined) return lastTaken + interval;
  // The machine's own turn, never later than an interval after the last and never sooner than half of one: so it
  // comes to its turn within two backups and stays there.
  const phase = Math.floor(spread * interval);
  const turn = Math.floor((lastTaken + interval - phase) / interval) * interval + phase;
  return Math.max(turn, lastTaken + interval / 2);
}
