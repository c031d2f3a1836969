import { freePort } from '../../test/real/processes.ts';
import { Meter } from './meter.ts';
import { NodePair } from './node-pair.ts';

/**
 * How well a granted rate is kept on the wire: center and agent as two processes, TLS over loopback, what goes up counted
 * between the two. The window opens, after 25 s the rate becomes another by the time of day, after 50 s the window closes.
 *
 *   node bench/wire/pacing.ts
 */
const SECOND = 1000;
const PHASE_S = 25;
/** A change of the rate, and the first blocks, have this long. */
const SETTLE_MS = 2 * SECOND;
const STEP_MS = 100;
/** The center starts, and the agent finds it, before the window opens. */
const LEAD_MS = 20 * SECOND;
const CASES: readonly (readonly [first: number, second: number])[] = [
  [500_000, 1_000_000],
  [2_000_000, 4_000_000],
  [10_000_000, 4_000_000],
];

const clock = (at: number): string => new Date(at).toISOString().slice(11, 19);
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

interface Averages {
  readonly least: number;
  readonly most: number;
}

/** Of all spans of ten seconds in [from, until), as parts of the grant. */
function averages(meter: Meter, from: number, until: number, grant: number): Averages {
  let [least, most] = [Infinity, -Infinity];
  for (let at = from; at + 10 * SECOND <= until; at += STEP_MS) {
    const share = meter.between(at, at + 10 * SECOND) / 10 / grant;
    least = Math.min(least, share);
    most = Math.max(most, share);
  }
  return { least, most };
}

/** Milliseconds after `from` until the pace over a second is within a tenth of the grant. */
function settled(meter: Meter, from: number, grant: number): number {
  for (let at = from; at < from + 10 * SECOND; at += STEP_MS) {
    if (Math.abs(meter.between(at, at + SECOND) / grant - 1) < 0.1) return at - from;
  }
  return Infinity;
}

async function measure([first, second]: readonly [number, number]): Promise<void> {
  const [inner, outer] = [await freePort(), await freePort()];
  const meter = new Meter(outer, inner);
  const pair = new NodePair({ listen: `127.0.0.1:${inner}`, address: `127.0.0.1:${outer}` });
  try {
    const bytes = (first + second) * PHASE_S * 1.2;
    await pair.prepare(Math.ceil(bytes / (1 << 20)));
    const begins = Math.ceil((Date.now() + LEAD_MS) / SECOND) * SECOND;
    const changes = begins + PHASE_S * SECOND;
    const ends = changes + PHASE_S * SECOND;
    const rate = `${first} B/s ${clock(begins - SECOND)}-${clock(changes)}, ${second} B/s`;
    await pair.collect(`windows: ${clock(begins)}-${clock(ends)}\nrate: "${rate}"\n`);
    if (Date.now() > begins) throw new Error('the window has opened before everything was ready');
    await sleep(ends + 5 * SECOND - Date.now());
    const one = averages(meter, begins + SETTLE_MS, changes, first);
    const two = averages(meter, changes + SETTLE_MS, ends, second);
    const last = meter.arrivals.findLast(({ bytes: count }) => count > 2000)?.at ?? begins;
    const stops = pair.events('paused').map(({ code }) => String(code));
    const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;
    console.log(
      `| ${first / 1e6} MB/s | ${percent(one.least)} to ${percent(one.most)} | ${second / 1e6} MB/s | ${settled(meter, changes, second)} ms | ${percent(two.least)} to ${percent(two.most)} | ${last - ends} ms | ${stops.join(', ')} |`,
    );
  } finally {
    await pair.close();
    meter.close();
  }
}

console.log(
  '| granted | 10 s averages, of the grant | then | kept after | 10 s averages | last block after the window | stopped with |',
);
console.log(
  '| ------: | --------------------------: | ---: | ---------: | ------------: | --------------------------: | ------------ |',
);
for (const rates of CASES) await measure(rates);
