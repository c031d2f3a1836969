/**
 * Hours of a few seconds for every hop: the agents hand over to the relays, these to the branch, it to the centers,
 * then the round begins again. Each is from when to when it is open, in seconds from the beginning of a round.
 */
const ROUND_S = 30;
const ROUNDS = 24;
const COLLECTS = {
  north: [0, 8],
  south: [3, 11],
  branch: [10, 18],
  tokyo: [17, 24],
  sapporo: [22, 29],
} as const;
const SENDS = { agent: [1, 10], relay: [9, 17], branch: [16, 30] } as const;
/** What was under way when a window closed may be written a moment later. */
const MOMENT_MS = 1500;

export type Collecting = keyof typeof COLLECTS;

export class Hours {
  readonly #begin: number;

  /** The first round begins when everything that is to be told of it has been told. */
  constructor(now: number) {
    this.#begin = Math.ceil((now + 25_000) / 10_000) * 10_000;
  }

  get begin(): number {
    return this.#begin;
  }

  /** The windows of a node that collects, as they stand in its settings. */
  collects(name: Collecting): string {
    return this.#text(COLLECTS[name]);
  }

  /** When something may leave a machine. */
  sends(role: keyof typeof SENDS): string {
    return this.#text(SENDS[role]);
  }

  #text([from, to]: readonly [number, number]): string {
    const rounds = Array.from({ length: ROUNDS }, (_, round) => this.#begin + round * ROUND_S * 1000);
    return rounds.map((at) => `${clock(at + from * 1000)}-${clock(at + to * 1000)}`).join(', ');
  }

  /** Whether a node may have collected something at that moment. */
  isOpen(name: Collecting, at: number): boolean {
    const [from, to] = COLLECTS[name];
    const intoRound = (at - this.#begin) % (ROUND_S * 1000);
    return at >= this.#begin && intoRound >= from * 1000 && intoRound < to * 1000 + MOMENT_MS;
  }

  /** For people, one line. */
  get summary(): string {
    const spans = Object.entries(COLLECTS).map(([name, [from, to]]) => `${name} ${from}-${to} s`);
    return `from ${clock(this.#begin)} UTC, every ${ROUND_S} s: ${spans.join(', ')}`;
  }
}

/** `HH:MM:SS` in UTC. */
export function clock(at: number): string {
  return new Date(at).toISOString().slice(11, 19);
}
