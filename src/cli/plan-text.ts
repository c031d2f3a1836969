import type { CenterPlan, Expected, PlanForecast, PlannedLine } from '../node/center/people.ts';
import type { ForecastErrors } from '../ledger/forecasts.ts';
import { MINUTE_MS, type UnixMillis } from '../model/time.ts';
import type { ReasonCode } from '../schedule/plan.ts';
import { reasonText } from '../schedule/reasons.ts';
import { bytesText } from '../model/bytes-text.ts';
import { durationText, plural, timeText } from './text.ts';
import { clockText, endText, placeText } from './turn-text.ts';

const BAR = 48;
const NOT_IN_SIGHT = 'not in sight';

/**
 * `next in line, 00:00-00:12, at the latest 00:15`; '' where nothing is known.
 * @param said the code of a reason that is told beside it already
 */
export function expectedText(
  expected: Expected | null,
  { kind, zone, now }: CenterPlan,
  said?: PlannedLine['code'],
): string {
  if (expected === null) return '';
  const { place, start, end, fits, why } = expected;
  if (start === null)
    return why !== null && why === said ? NOT_IN_SIGHT : `${NOT_IN_SIGHT}: ${whyNot(why, kind)}`;
  const range = end === null ? `from ${clockText(start.likely, zone, now)}` : rangeText(expected, zone, now);
  const text = [placeText(place), range].filter((part) => part !== '').join(', ');
  return fits ? text : `not this night (${whyNot(why, kind)}): ${text}`;
}

function rangeText({ start, end }: Expected, zone: string, now: UnixMillis): string {
  const from = clockText(start!.likely, zone, now);
  const [to, late] = [endText(end!.likely, zone, now), endText(end!.late, zone, now)];
  const words = `${from} to ${to}`;
  return late === to ? words : `${words}, ${late} at the latest`;
}

const whyNot = (why: ReasonCode | null, kind: CenterPlan['kind']): string =>
  why === null ? 'it is not known why' : operatorsText(reasonText(why)!, kind);

/** The planner speaks to the computer's owner; here the node's operator reads. */
export function operatorsText(text: string, kind: CenterPlan['kind']): string {
  return text.replaceAll('the center', `the ${kind}`).replace(/\byour\b/, "the computer's");
}

/** `18:00   20:00   22:00`: the time of day above bars, each beginning where it is that time. */
export function scaleText(from: UnixMillis, until: UnixMillis, zone: string): string {
  const columns = (ms: number): number => Math.ceil((ms / (until - from)) * BAR);
  const step = SCALE_MINUTES.find((minutes) => columns(minutes * MINUTE_MS) >= SCALE_COLUMNS) ?? WEEK_MINUTES;
  let text = '';
  let plain = Temporal.Instant.fromEpochMilliseconds(from)
    .toZonedDateTimeISO(zone)
    .toPlainDate()
    .toPlainDateTime();
  for (let last = -Infinity; ; plain = plain.add({ minutes: step })) {
    const at = plain.toZonedDateTime(zone).epochMilliseconds;
    if (at >= until) return text;
    // A time that is left out when clocks go forward is the next one.
    if (at < from || at <= last) continue;
    last = at;
    const [date = '', time = ''] = timeText(at, zone).split(' ');
    text = `${text.padEnd(columns(at - from))}${step < DAY_MINUTES ? time : date.slice(5)}`;
  }
}

const DAY_MINUTES = 24 * 60;
const WEEK_MINUTES = 7 * DAY_MINUTES;
const SCALE_MINUTES = [
  1,
  5,
  10,
  15,
  30,
  60,
  120,
  180,
  360,
  720,
  DAY_MINUTES,
  2 * DAY_MINUTES,
  4 * DAY_MINUTES,
];
/** A time and what keeps it from the next one. */
const SCALE_COLUMNS = 8;

/** `....####..`: the time on the wire between two moments. */
export function barText(expected: Expected | null, from: UnixMillis, until: UnixMillis): string {
  const bar = Array.from({ length: BAR }, () => '.');
  const columnOf = (at: UnixMillis): number => Math.floor(((at - from) / (until - from)) * BAR);
  for (const { start, end } of expected?.stretches ?? []) {
    if (start >= until) continue;
    for (let at = columnOf(start); at <= Math.min(BAR - 1, columnOf(end)); at++) bar[at] = '#';
  }
  return bar.join('');
}

/** What becomes of the night as a whole. */
export function nightTexts(forecast: PlanForecast, { offers, kind, zone, now }: CenterPlan): string[] {
  const { fitting, left, done, nightEnd, everybody } = forecast;
  const end = clockText(nightEnd, zone, now);
  const texts = [
    `${fitting.offers === 0 ? 'Nothing' : `${plural(fitting.offers, 'snapshot')} (${bytesText(fitting.bytes)})`} will be collected by ${end}${done === null ? '' : `, the last of them by ${endText(done, zone, now)}`}.`,
  ];
  if (everybody) texts.push('As if the center ran and every computer were connected.');
  if (left.offers === 0) return texts;
  const reasons = new Map<string, number>();
  for (const { expected } of offers) {
    if (expected === null || expected.fits) continue;
    const why = whyNot(expected.why, kind);
    reasons.set(why, (reasons.get(why) ?? 0) + 1);
  }
  const whys = [...reasons].map(([why, count]) => `${count}: ${why}`);
  texts.push(`${plural(left.offers, 'snapshot')} (${bytesText(left.bytes)}) will not. ${whys.join('; ')}.`);
  const soonest = offers.flatMap(({ expected }) =>
    expected === null || expected.fits ? [] : (expected.end ?? []),
  );
  if (soonest.length > 0) {
    const last = Math.max(...soonest.map(({ likely }) => likely));
    texts.push(`Those of them that are in sight will be there by ${endText(last, zone, now)}.`);
  }
  return texts;
}

/** How good the forecasts were lately. */
export function errorsText({ count, half, ninety, within }: ForecastErrors): string {
  const part = Math.round(within * 100);
  return `How far forecasts were off, of ${plural(count, 'snapshot')} in the last 14 days: half at most ${durationText(half)}, 90 % at most ${durationText(ninety)}; ${part} % came in the time that was told.`;
}
