import type { SnapshotId } from '../model/ids.ts';
import { DAY_MS, type UnixMillis } from '../model/time.ts';
import { firstOfAll, streamsNow, wasFull } from './choosing.ts';
import { holdOn } from './holds.ts';
import { bestOf } from './lanes.ts';
import { isFirst } from './placing.ts';
import type { Reason, ReasonCode, Reasons } from './plan.ts';
import { SHORT_DAYS } from './scanner.ts';
import type { OfferRecord, PlannerState } from './records.ts';

const texts: Record<ReasonCode, string> = {
  running: 'being collected',
  next: 'next in line',
  'client-offline': 'waiting for the computer to connect to the center',
  'client-window': 'waiting for your window',
  'center-window': "waiting for the center's window",
  'client-held': 'the computer sends nothing for the time being',
  'no-shared-window':
    "your windows and the center's are not open together at any time of the next five weeks",
  'streams-busy': 'waiting for a free stream: the center is collecting others first',
  'line-busy': 'waiting for your network line: others are being collected over it first',
  'center-busy': "waiting for the center's bandwidth: others are being collected first",
  'client-busy': 'waiting for another snapshot of the same computer',
  'after-predecessor': 'waiting for an earlier snapshot of the same job',
  'backing-off': 'the last attempt did not finish',
  'client-absent': 'the computer was asked to send and did not begin',
  'client-misbehaved': 'the computer did not keep to what it was granted',
  'restores-first': 'waiting while files are being restored',
  'free-space': 'the center has too little free space',
  'store-full': "the center's store is full of what it could not pass on yet",
  load: 'the center has too much other work',
  'disk-pressure': "the center's disks are busy with other work",
  'not-while': 'the center must not collect while something else is running there',
  held: 'the center was told to wait',
  'held-back': "the center's operator lets nothing be collected from this computer for the time being",
};

/** How the time is added to the sentence of a code that has one. */
const endings: Partial<Record<ReasonCode, string>> = {
  running: ', until',
  'client-window': ': opens',
  'center-window': ': opens',
  'backing-off': ': tries again',
  'client-absent': ': tries again',
  'client-misbehaved': ': tries again',
  'free-space': ', until',
  load: ', until',
  'disk-pressure': ', until',
  'not-while': ', until',
  held: ', until',
  'held-back': ', until',
};

export function reasonsOf(state: PlannerState): Reasons {
  let first: OfferRecord | null | undefined;
  const reasonOf = (record: OfferRecord): Reason => {
    if (first === undefined) first = firstOfAll(state);
    const { code, until } = verdict(state, record, first);
    return { snapshot: record.offer.snapshot, code, until, text: texts[code] };
  };
  return {
    size: state.offers.size,
    get(snapshot: SnapshotId): Reason | undefined {
      const record = state.offers.get(snapshot);
      return record && reasonOf(record);
    },
    *[Symbol.iterator](): Iterator<Reason> {
      for (const record of state.offers.values()) yield reasonOf(record);
    },
  };
}

type Verdict = Pick<Reason, 'code' | 'until'>;

/** S50: the first that applies, from what is certain to what may change any moment. */
function verdict(state: PlannerState, record: OfferRecord, first: OfferRecord | null): Verdict {
  const { client, track, retryAt } = record;
  const { standing } = track;
  const run = state.runs.get(record.offer.snapshot);
  if (run?.phase === 'running') return { code: 'running', until: standing.until };
  if (run?.phase === 'ordered') return { code: 'next', until: null };
  const heldBack = state.heldBack.get(client.id);
  if (heldBack !== undefined) return { code: heldBack.code, until: heldBack.until };
  if (!standing.open && track.windows.text === 'never') return { code: 'client-held', until: null };
  if (!standing.open) return { code: standing.code, until: standing.until };
  if (!client.online) return { code: 'client-offline', until: null };
  if (!isFirst(record)) return { code: 'after-predecessor', until: null };
  if (retryAt !== null) return { code: 'backing-off', until: retryAt };
  if (client.pause !== null) return client.pause;
  // Its own run may still be stopping because the streams became fewer.
  if (client.run !== null && client.run !== run) return { code: 'client-busy', until: null };
  const hold = holdOn(state, client.line);
  if (hold !== null) return { code: hold.code, until: hold.until };
  return { code: run === undefined ? whatIsFull(state, record, first) : 'streams-busy', until: null };
}

/** Nothing but room is missing. @param first of all that wait, on whatever line */
function whatIsFull(state: PlannerState, record: OfferRecord, first: OfferRecord | null): ReasonCode {
  const { line } = record.client;
  const streams = streamsNow(state);
  if (streams === 0) return 'held';
  if (record === first) return 'next';
  if (wasFull(state, line)) {
    const { tightest, oldest } = bestOf(line, state.now);
    return (tightest ?? oldest) === record ? 'next' : 'line-busy';
  }
  if (state.runs.size < streams) return 'center-busy';
  return streams < state.conditions.streams ? 'restores-first' : 'streams-busy';
}

/** The sentence of a code that a center gave for a copy; null if it is none of a planner's. */
export function reasonText(code: string): string | null {
  return Object.hasOwn(texts, code) ? texts[code as ReasonCode] : null;
}

/**
 * The reason as one sentence with its time, such as `waiting for your window: opens 00:00 Asia/Tokyo`. The date is
 * added when the moment is not within 24 hours of `now`.
 */
export function describeReason(
  reason: Pick<Reason, 'code' | 'until' | 'text'>,
  zone: string,
  now: UnixMillis,
): string {
  const ending = endings[reason.code];
  if (ending === undefined || reason.until === null) return reason.text;
  return `${reason.text}${ending} ${momentText(reason.until, zone, now)}`;
}

function momentText(at: UnixMillis, zone: string, now: UnixMillis): string {
  const local = Temporal.Instant.fromEpochMilliseconds(at).toZonedDateTimeISO(zone);
  const smallestUnit = local.second === 0 ? 'minute' : 'second';
  const time = local.toPlainTime().toString({ smallestUnit });
  const day = SHORT_DAYS[local.dayOfWeek - 1]!;
  const soon = now <= at && at - now < DAY_MS;
  return `${soon ? '' : `${day} ${local.toPlainDate().toString()} `}${time} ${zone}`;
}
