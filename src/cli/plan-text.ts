import type { CenterPlan, Expected, PlanForecast } from '../node/people-center.ts';
import type { ForecastErrors } from '../ledger/forecasts.ts';
import type { UnixMillis } from '../model/time.ts';
import type { ReasonCode } from '../schedule/plan.ts';
import { reasonText } from '../schedule/reasons.ts';
import { bytesText, durationText, plural } from './text.ts';
import { clockText, placeText } from './turn-text.ts';

const BAR = 48;

/** `next in line, 00:00-00:12, at the latest 00:15`; '' where nothing is known. */
export function expectedText(expected: Expected | null, { zone, now }: CenterPlan): string {
  if (expected === null) return '';
  const { place, start, end, fits, why } = expected;
  if (start === null) return `not in sight: ${whyNot(why)}`;
  const range = end === null ? `from ${clockText(start.likely, zone, now)}` : rangeText(expected, zone, now);
  const text = [placeText(place), range].filter((part) => part !== '').join(', ');
  return fits ? text : `not this night (${whyNot(why)}): ${text}`;
}

function rangeText({ start, end }: Expected, zone: string, now: UnixMillis): string {
  const [from, to, late] = [start!.likely, end!.likely, end!.late].map((at) => clockText(at, zone, now));
  const words = `${from} to ${to}`;
  return late === to ? words : `${words}, ${late} at the latest`;
}

const whyNot = (why: ReasonCode | null): string => (why === null ? 'it is not known why' : reasonText(why)!);

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
export function nightTexts(forecast: PlanForecast, { offers, zone, now }: CenterPlan): string[] {
  const { fitting, left, done, nightEnd, everybody } = forecast;
  const end = clockText(nightEnd, zone, now);
  const texts = [
    `${plural(fitting.offers, 'snapshot')} (${bytesText(fitting.bytes)}) will be collected by ${end}${done === null ? '' : `, the last of them by ${clockText(done, zone, now)}`}.`,
  ];
  if (everybody) texts.push('As if the center ran and every computer were connected.');
  if (left.offers === 0) return texts;
  const reasons = new Map<string, number>();
  for (const { expected } of offers) {
    if (expected === null || expected.fits) continue;
    const why = whyNot(expected.why);
    reasons.set(why, (reasons.get(why) ?? 0) + 1);
  }
  const whys = [...reasons].map(([why, count]) => `${count}: ${why}`);
  texts.push(`${plural(left.offers, 'snapshot')} (${bytesText(left.bytes)}) will not. ${whys.join('; ')}.`);
  const soonest = offers.flatMap(({ expected }) =>
    expected === null || expected.fits ? [] : (expected.end ?? []),
  );
  if (soonest.length > 0) {
    const last = Math.max(...soonest.map(({ likely }) => likely));
    texts.push(`Those of them that are in sight will be there by ${clockText(last, zone, now)}.`);
  }
  return texts;
}

/** How good the forecasts were lately. */
export function errorsText({ count, half, ninety, within }: ForecastErrors): string {
  const part = Math.round(within * 100);
  return `Forecasts of the last 14 nights (${count}): half within ${durationText(half)}, 90 % within ${durationText(ninety)}; ${part} % came in the time that was told.`;
}
