import { MINUTE_MS, SECOND_MS, type UnixMillis } from '../../src/model/time.ts';
import { isOpen, parseWindows, type Windows } from '../../src/schedule/windows.ts';
import type { MessageFace } from '../../src/sim/call.ts';

export interface Hop {
  readonly from: string;
  readonly to: string;
}

/** A block that was on its way when the window closed, and the word that it has. */
const SLACK_MS = 30 * SECOND_MS;

/** P3: blocks go up only while the windows of both sides of that hop are open. */
export class HopWindows {
  readonly #windows = new Map<string, () => readonly string[]>();
  readonly #known = new Map<string, boolean>();
  readonly #parsed = new Map<string, Windows>();

  add({ from, to }: Hop, transfer: string, conditions: () => string): void {
    this.#windows.set(`${from} ${to}`, () => [transfer, conditions()]);
  }

  /** What is wrong with a message at this time, or null. */
  problemOf({ from, to, method, direction, kind }: MessageFace, at: UnixMillis): string | null {
    if (method !== 'blocks' || direction !== 'there' || kind !== 'item') return null;
    const closed = this.#windows.get(`${from} ${to}`)!().find(
      (text) => !this.#isOpen(text, at) && !this.#isOpen(text, at - SLACK_MS),
    );
    return closed === undefined ? null : `${from} sends a block to ${to} outside ${closed}`;
  }

  #isOpen(text: string, at: UnixMillis): boolean {
    if (text === 'any') return true;
    const key = `${text} ${Math.floor(at / MINUTE_MS)}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const windows = this.#parsed.get(text) ?? parseWindows(text, 'UTC');
    this.#parsed.set(text, windows);
    const open = isOpen(windows, at);
    this.#known.set(key, open);
    return open;
  }
}
