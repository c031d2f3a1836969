import { RandomStream } from '../../src/model/random-stream.ts';

const MINUTE = 60_000;
/** What collection may take of each line, bytes per second. */
export const LINES = [
  { name: 'north', rate: 600_000, part: 0.2 },
  { name: 'south', rate: 1_200_000, part: 0.3 },
  { name: 'west', rate: 2_400_000, part: 0.5 },
] as const;
/** Of the night's minutes that a line needs for all of its agents. */
const LOAD = 0.6;

const clock = (at: number): string => new Date(at).toISOString().slice(11, 16);
/** A window of UTC, in whole minutes. */
export const hours = (from: number, to: number): string => `${clock(from)}-${clock(to)}`;

export interface Plotted {
  readonly name: string;
  readonly line: (typeof LINES)[number]['name'];
  readonly bytes: number;
  readonly start: number;
  readonly end: number;
}

/**
 * A quarter may send in the first third of the night, a quarter in the rest of it, the others at any time; and the last of each
 * line has one minute towards the end and more than that carries: it has to be stopped.
 */
export function plot(opening: number, agents: number, minutes: number): Plotted[] {
  const random = new RandomStream('fleet', agents);
  const end = opening + minutes * MINUTE;
  const third = opening + Math.round(minutes / 3) * MINUTE;
  return LINES.flatMap(({ name: line, rate, part }) => {
    const count = Math.round(agents * part);
    const weights = Array.from({ length: count - 1 }, () => 0.3 + 1.4 * random.fraction() ** 2);
    const sum = weights.reduce((a, b) => a + b, 0);
    const all = rate * ((end - opening) / 1000) * LOAD;
    const normal = weights.map((weight, at): Plotted => {
      const kind = at % 4;
      const [start, stop] = kind === 0 ? [opening, third] : kind === 1 ? [third, end] : [opening, end];
      return { name: `${line}-${at + 1}`, line, bytes: Math.round((all * weight) / sum), start, end: stop };
    });
    const cut = { name: `${line}-cut`, line, bytes: rate * 90, start: end - 2 * MINUTE, end: end - MINUTE };
    return [...normal, cut];
  });
}
