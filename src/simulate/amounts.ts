import { LowtideError } from '../model/errors.ts';
import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS } from '../model/time.ts';

const SIZES: Readonly<Record<string, number>> = {
  B: 1,
  kB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
};
const SPANS: Readonly<Record<string, number>> = {
  s: SECOND_MS,
  min: MINUTE_MS,
  h: HOUR_MS,
  d: DAY_MS,
};

/** Bytes of `300 MB` or `1.5 GiB`. @throws LowtideError `bad-config` */
export function parseSize(text: string): number {
  return Math.round(read(text, SIZES, 'a size such as 300 MB or 2 GiB'));
}

/** Milliseconds of `90 s`, `20 min`, `8 h` or `1 d`. @throws LowtideError `bad-config` */
export function parseSpan(text: string): number {
  return Math.round(read(text, SPANS, 'a span of time such as 20 min, 8 h or 1 d'));
}

function read(text: string, units: Readonly<Record<string, number>>, wanted: string): number {
  const match = /^\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]+)\s*$/.exec(text);
  const unit = match === null ? undefined : Object.entries(units).find(([name]) => name === match[2]);
  if (unit !== undefined) return Number(match![1]) * unit[1];
  throw new LowtideError('bad-config', `${JSON.stringify(text.slice(0, 80))} is not ${wanted}`);
}
