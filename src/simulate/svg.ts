import { wrapLines } from '../model/text-lines.ts';
import { HOUR_MS, type UnixMillis } from '../model/time.ts';

/** Where the time of a night is on a picture. Lengths are pixels. */
export interface TimeAxis {
  readonly from: UnixMillis;
  readonly until: UnixMillis;
  readonly zone: string;
  readonly left: number;
  readonly width: number;
}

/** Part of a picture: what it is called, how high it is, and what is in it from the top at `y` on. */
export interface Panel {
  readonly title: string;
  readonly height: number;
  readonly draw: (y: number) => string;
}

const COLOURS = ['#2b6ca3', '#c8702a', '#3d8c5a', '#8a5aa8', '#b0413e', '#5f6f52', '#b08d1e', '#487f8c'];
const TICKS_MOST = 16;
const TICK_HOURS = [1, 2, 3, 6, 12, 24, 48, 168, 336];

/** Of the `turn`th group. */
export const colourOf = (turn: number): string => COLOURS[turn % COLOURS.length]!;

export function xOf(axis: TimeAxis, at: UnixMillis): number {
  const share = (Math.min(axis.until, Math.max(axis.from, at)) - axis.from) / (axis.until - axis.from);
  return round(axis.left + share * axis.width);
}

export const round = (value: number): number => Math.round(value * 100) / 100;

const MARKS: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
};

/** Text that may stand in an element or an attribute; what XML has no place for becomes a question mark. */
export function escapeText(text: string): string {
  return text.replaceAll(/[\p{Cc}\ufffe\uffff]/gu, '?').replaceAll(/[&<>"]/g, (mark) => MARKS[mark]!);
}

export function rectangle(
  x: number,
  y: number,
  width: number,
  height: number,
  fill: string,
  more = '',
): string {
  return `<rect x="${round(x)}" y="${round(y)}" width="${round(width)}" height="${round(height)}" fill="${fill}"${more}/>`;
}

export function label(
  x: number,
  y: number,
  text: string,
  kind: 'start' | 'middle' | 'end' = 'start',
  more = '',
): string {
  return `<text x="${round(x)}" y="${round(y)}" text-anchor="${kind}"${more}>${escapeText(text)}</text>`;
}

export function path(points: readonly (readonly [x: number, y: number])[], more: string): string {
  const steps = points.map(([x, y], at) => `${at === 0 ? 'M' : 'L'}${round(x)} ${round(y)}`);
  return `<path d="${steps.join('')}" ${more}/>`;
}

/** Lines at full hours through all panels, with the times below them. */
export function timeGrid(axis: TimeAxis, top: number, bottom: number): string {
  const hours = (axis.until - axis.from) / HOUR_MS;
  const every = TICK_HOURS.find((step) => hours / step <= TICKS_MOST) ?? TICK_HOURS.at(-1)!;
  const parts: string[] = [];
  let at = Temporal.Instant.fromEpochMilliseconds(axis.from).toZonedDateTimeISO(axis.zone).startOfDay();
  for (
    ;
    at.epochMilliseconds <= axis.until;
    at = at.add(every < 24 ? { hours: every } : { days: every / 24 })
  ) {
    if (at.epochMilliseconds < axis.from) continue;
    const x = xOf(axis, at.epochMilliseconds);
    const time = at.toPlainTime().toString({ smallestUnit: 'minute' });
    const text = every < 24 ? time : at.toPlainDate().toString().slice(5);
    parts.push(
      `<line x1="${x}" y1="${top}" x2="${x}" y2="${bottom}" stroke="#d8dde2"/>`,
      label(x, bottom + 16, text, 'middle'),
    );
  }
  return parts.join('\n');
}

/** A character of 12 pixels takes so many, more or less. */
const CHARACTER_WIDTH = 6;
const TEXT_STEP = 16;

/** Panels one below the other on one axis of time. */
export function pictureOf(axis: TimeAxis, title: string, subtitle: string, panels: readonly Panel[]): string {
  const right = 24;
  const width = axis.left + axis.width + right;
  const parts: string[] = [];
  const below = wrapLines(subtitle, Math.floor(axis.width / CHARACTER_WIDTH));
  const top = 48 + below.length * TEXT_STEP;
  let y = top;
  for (const { title, height, draw } of panels) {
    parts.push(label(axis.left, y + 14, title, 'start', ' font-weight="600"'), draw(y + 24));
    y += height + 44;
  }
  const bottom = y - 12;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${bottom + 36}" viewBox="0 0 ${width} ${bottom + 36}" font-family="Helvetica, Arial, sans-serif" font-size="12" fill="#24313d">`,
    rectangle(0, 0, width, bottom + 36, '#ffffff'),
    label(axis.left, 28, title, 'start', ' font-size="18" font-weight="600"'),
    ...below.map((line, at) => label(axis.left, 48 + at * TEXT_STEP, line, 'start', ' fill="#5b6873"')),
    timeGrid(axis, top, bottom),
    ...parts,
    label(axis.left + axis.width, bottom + 30, axis.zone, 'end', ' fill="#5b6873"'),
    '</svg>',
    '',
  ].join('\n');
}
