import type { Fleet } from '../simulate/fleet.ts';
import type { LineMetrics, Metrics } from '../simulate/metrics.ts';
import { bytesText } from '../model/bytes-text.ts';
import { type Column, countText, durationText, plural, timeText } from './text.ts';

/** The night in one sentence. */
export function completionText(fleet: Fleet, metrics: Metrics): string {
  const { ready, collected, reachable, opening, allCollected, misses } = metrics;
  const of = `${plural(metrics.clients, 'computer')}, ${plural(ready, 'snapshot')} of ${bytesText(metrics.bytesReady)}`;
  if (opening === null) return `${of}: nothing can travel in this time.`;
  const late = misses === 0 ? '' : `; ${plural(misses, 'deadline')} missed`;
  if (allCollected !== null) {
    const at = timeText(opening + allCollected, fleet.zone);
    const out = ready - collected;
    const rest = out === 0 ? '' : `, but for ${countText(out)} out of reach`;
    return `${of}: all collected by ${at}, ${durationText(allCollected)} after the opening${rest}${late}.`;
  }
  return `${of}: ${countText(ready - collected)} not collected (${countText(ready - reachable)} out of reach) by ${timeText(fleet.until, fleet.zone)}${late}.`;
}

/** The figures, for people. */
export function metricPairs(fleet: Fleet, metrics: Metrics): (readonly [string, string])[] {
  const { opening } = metrics;
  const span = (ms: number | null): string => (ms === null ? '-' : durationText(ms));
  const ratio = (value: number | null, digits = 2): string => (value === null ? '-' : value.toFixed(digits));
  return [
    ['opening', opening === null ? '-' : `${timeText(opening, fleet.zone)} ${fleet.zone}`],
    [
      'collected',
      `${countText(metrics.collected)} of ${countText(metrics.ready)} snapshots, ${bytesText(metrics.bytesCollected)} of ${bytesText(metrics.bytesReady)}`,
    ],
    ['all collected after', span(metrics.allCollected)],
    [
      'half, 95 %, 99 % of those collected after',
      [metrics.completionP50, metrics.completionP95, metrics.completionP99].map(span).join(', '),
    ],
    [
      'deadlines missed',
      metrics.withDeadline === 0
        ? 'there are none'
        : `${countText(metrics.misses)} of ${countText(metrics.withDeadline)}, ${countText(metrics.missesInReach)} of them within reach`,
    ],
    ['worst age over target', ratio(metrics.worstAge)],
    ['older than twice the target', plural(metrics.starved, 'computer')],
    ['Jain index, collected over ready', ratio(metrics.jain, 3)],
    ['most in 10 s: of what is allowed', percent(metrics.peakOfCap)],
    ['most in 10 s: of what a line carries', percent(metrics.peakOfLine)],
    ['lines above 80 %', durationText(metrics.secondsAbove80 * 1000)],
    [
      "people's transfers take longer, half, 99 %",
      `${ratio(metrics.slowdownP50)}, ${ratio(metrics.slowdownP99)} times`,
    ],
    ['sent again', bytesText(metrics.bytesResent)],
    ['broken off, ordered in vain', `${countText(metrics.broken)}, ${countText(metrics.vainOrders)}`],
    ['waiting in spools', `${bytesText(metrics.stagedByteHours)} hours`],
  ];
}

const percent = (share: number | null): string => (share === null ? '-' : `${(share * 100).toFixed(1)} %`);

export const lineColumns: readonly (Column & { readonly text: (line: LineMetrics) => string })[] = [
  { title: 'line', text: ({ name }) => name },
  { title: 'collected', align: 'right', text: ({ bytes }) => bytesText(bytes) },
  { title: 'mean', align: 'right', text: ({ meanOfLine }) => percent(meanOfLine) },
  { title: 'peak', align: 'right', text: ({ peakOfLine }) => percent(peakOfLine) },
  { title: 'peak of allowed', align: 'right', text: ({ peakOfCap }) => percent(peakOfCap) },
  {
    title: "people's 99 %",
    align: 'right',
    text: ({ slowdownP99 }) => (slowdownP99 === null ? '-' : `${slowdownP99.toFixed(2)} times`),
  },
];
