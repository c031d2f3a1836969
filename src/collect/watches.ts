import { SECOND_MS } from '../model/time.ts';
import type { Hold, HoldCode } from '../schedule/plan.ts';
import type { World } from '../world/ports.ts';
import { FREE_SPACE, spaceText } from './conditions.ts';
import type { CollectorParts, Conditions } from './parts.ts';

/** Of a relay that is full. */
export const STORE = 'store';
/** Each is looked at so often while there is anything to collect. */
export const WATCH_EVERY_MS = 10 * SECOND_MS;
/** A program that says whether it suits has so long. */
const ASK_MS = 10 * SECOND_MS;
/** What was above its ceiling has to fall below this part of it: else collecting would start and stop all the time. */
const CALM = 0.8;
/** What a program ends with that has looked and found nothing: `pgrep`, `grep` and `test` do. */
const NO_STATUS = 1;

/** One thing of the condition table that is measured. */
export interface Reading {
  readonly name: string;
  readonly code: HoldCode;
  /** Collecting waits for it. */
  readonly holds: boolean;
  /** What was measured, for people. */
  readonly text: string;
}

/** Whether anything is measured that comes and goes within a minute; how full the disk is is looked at whenever something happens. */
export function isWatched({ ceilings, notWhile = [] }: Conditions): boolean {
  return notWhile.length > 0 || (ceilings?.load ?? null) !== null || (ceilings?.disk ?? null) !== null;
}

/** What is measured at the node, and what it means (S66). */
export class Watches {
  readonly #parts: CollectorParts;
  readonly #before = new Map<string, Reading>();
  /** Programs that could not say anything: an alarm for each, once. */
  readonly #failed = new Set<string>();

  constructor(parts: CollectorParts) {
    this.#parts = parts;
  }

  get readings(): readonly Reading[] {
    return [...this.#before.values()];
  }

  /** Measures all that these conditions name. */
  async look(conditions: Conditions, stop: AbortSignal): Promise<readonly Reading[]> {
    const { ceilings, notWhile = [] } = conditions;
    const { strain } = this.#parts.world;
    const found = await Promise.all([
      spaceReading(this.#parts, conditions),
      storeReading(this.#parts),
      this.#measured('load', 'load', ceilings?.load ?? null, async () => (await strain?.load()) ?? null),
      this.#measured(
        'disk pressure',
        'disk-pressure',
        ceilings?.disk ?? null,
        async () => (await strain?.disk()) ?? null,
      ),
      ...notWhile.map((words) => this.#asked(words, stop)),
    ]);
    this.#before.clear();
    for (const reading of found) if (reading !== null) this.#before.set(reading.name, reading);
    return this.readings;
  }

  async #measured(
    name: string,
    code: HoldCode,
    ceiling: number | null,
    measure: () => Promise<number | null>,
  ): Promise<Reading | null> {
    if (ceiling === null) return null;
    const value = await measure();
    if (value === null) return { name, code, holds: false, text: 'this machine does not tell' };
    const held = this.#before.get(name)?.holds === true;
    const holds = value > (held ? ceiling * CALM : ceiling);
    return { name, code, holds, text: `${value.toFixed(2)}, at most ${ceiling}` };
  }

  async #asked(words: readonly string[], stop: AbortSignal): Promise<Reading | null> {
    const name = `not while ${words.join(' ')}`;
    const { yes, how } = await askWhether(this.#parts.world, words, stop);
    if (yes !== null) {
      this.#failed.delete(name);
      const text = yes ? 'it says that this is so' : 'it says that this is not so';
      return { name, code: 'not-while', holds: yes, text };
    }
    if (!this.#failed.has(name) && !stop.aborted) {
      this.#failed.add(name);
      const message = `${words.join(' ')} does not say whether collecting has to wait: ${how}; it does not wait`;
      this.#parts.world.monitor.event({ kind: 'alarm', code: 'hook-failed', message });
    }
    return { name, code: 'not-while', holds: false, text: `it does not say: ${how}` };
  }
}

/** Runs a program that says by its status whether something has to wait: 0 is yes, 1 is no, anything else says nothing. */
export async function askWhether(
  { commands }: World,
  words: readonly string[],
  stop: AbortSignal,
): Promise<{ readonly yes: boolean | null; readonly how: string }> {
  if (commands === undefined) return { yes: null, how: 'no program can be run here' };
  const environment = { LOWTIDE_STEP: 'not-while' };
  const { status, how } = await commands.run({ words, environment, timeoutMs: ASK_MS, stop });
  return { yes: status === 0 ? true : status === NO_STATUS ? false : null, how };
}

async function spaceReading(parts: CollectorParts, conditions: Conditions): Promise<Reading | null> {
  const space = await spaceText(parts, conditions);
  return space && { name: FREE_SPACE, code: 'free-space', ...space };
}

/** Of a relay: what it could not pass on. What is being sent may end: its beginning is in the store already. */
async function storeReading({ above }: CollectorParts): Promise<Reading | null> {
  return above === null ? null : { name: STORE, code: 'store-full', ...(await above.fullness()) };
}

/** The hold that a reading is. A full disk, and what must not run at the same time, end what is being sent. */
export function holdOf({ name, code }: Reading): Hold {
  return { name, code, line: null, stops: code === 'free-space' || code === 'not-while', until: null };
}
