import type { CenterPlan } from '../node/center/people.ts';
import { colourOf, label, pictureOf, rectangle, xOf, type TimeAxis } from '../simulate/svg.ts';
import { nightTexts } from './plan-text.ts';

const STEP = 14;
const ROWS_MOST = 400;

/** The night before it happens as an SVG; null if there is no forecast. */
export function drawPlan(plan: CenterPlan): string | null {
  const { forecast, name, now, zone, offers } = plan;
  if (forecast === null) return null;
  const axis: TimeAxis = { from: now, until: forecast.nightEnd, zone, left: 190, width: 900 };
  const rows = offers
    .filter(({ expected }) => (expected?.stretches ?? []).some(({ start }) => start < axis.until))
    .sort((a, b) => a.expected!.start!.likely - b.expected!.start!.likely)
    .slice(0, ROWS_MOST);
  const draw = (y: number): string =>
    rows
      .flatMap(({ clientName, job, expected }, at) => {
        const top = y + at * STEP;
        const bars = expected!.stretches.map(({ start, end }) => {
          const [left, right] = [xOf(axis, start), xOf(axis, end)];
          const fill = colourOf(expected!.fits ? 0 : 1);
          return rectangle(left, top + 2, Math.max(1, right - left), STEP - 4, fill);
        });
        return [...bars, label(axis.left - 8, top + STEP - 3, `${clientName} ${job}`, 'end')];
      })
      .join('\n');
  const more = rows.length < offers.length ? `, ${rows.length} of ${offers.length} snapshots` : '';
  return pictureOf(axis, `${name}: the plan`, nightTexts(forecast, plan).join(' '), [
    { title: `Who is expected to send when${more}`, height: Math.max(20, rows.length * STEP), draw },
  ]);
}
