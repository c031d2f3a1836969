import type { BlockSource } from '../format/block-source.ts';
import { checkBlockIds, HEADER_BYTES, type SealedBlock } from '../format/block.ts';
import { mappedAhead } from '../model/ahead.ts';
import { bytesText } from '../model/bytes-text.ts';
import { errorRegistry, isLowtideError, LowtideError, messageOf } from '../model/errors.ts';
import { type BlockId, shortId, type SnapshotId } from '../model/ids.ts';
import type { World } from '../world/ports.ts';
import { patiently } from './patient-source.ts';
import type { NamedSource, SourceUsage } from './restore-plan.ts';
import { SourceCost } from './source-cost.ts';
import { interruptedIf } from './stop.ts';

/** What became of one block that was asked for. */
export type Fetched = FetchedBlock | LostBlock;

export interface FetchedBlock {
  readonly kind: 'block';
  readonly id: BlockId;
  readonly bytes: Uint8Array;
  /** Null: the bytes hash to `id`. */
  readonly unchecked: Unchecked | null;
}

/** Nobody has compared a block with its id. Whoever finds that it does not open withdraws it, and asks for it checked. */
export interface Unchecked {
  /** It came from elsewhere: whoever opens it compares it with its id first, in the thread that opens it. */
  readonly mustHash: boolean;
  /** It does not count as come. */
  withdraw(): void;
}

export interface LostBlock {
  readonly kind: 'lost';
  readonly id: BlockId;
  /** `block-unavailable`, or `damaged-block` if a source has something under that id; it tells what each one said. */
  readonly error: LowtideError;
}

/** What a source did wrong, for the report. */
export interface SourceFault {
  readonly name: string;
  readonly code: string;
  readonly message: string;
}

/** A source that fails this often, with no good block between, is not asked again. */
const FAILURES_MAX = 3;
/** Damaged blocks of one source that are told apart. */
const WRONG_KEPT_MAX = 100_000;
/** Another source must be so many times as fast, and save so much, to be asked before a nearer one or instead of it. */
const FASTER = 2;
const SAVED_MS = 250;

/** Of what comes so much is hashed, or was and waits for its turn. */
const AHEAD_BLOCKS = 2;

interface Checked {
  readonly id: BlockId;
  readonly block: SealedBlock | null;
}

interface SourceState extends NamedSource {
  readonly cost: SourceCost;
  blocks: number;
  bytes: number;
  /** Since its last good block. */
  failures: number;
  /** Not asked again. */
  over: boolean;
  /** Up to a bound. */
  readonly everWrong: Set<BlockId>;
  failedCount: number;
  lastFailure: unknown;
  /** Sources that gave what was to come from this one, as it was too slow. */
  readonly outrunBy: Set<string>;
}

/** Who compares what a source gives with its ids: it has, the fetcher does, or whoever opens it does, by its hash or by opening it. */
type Comparison = 'done' | 'here' | 'hash' | 'open';

/** A source in one batch. */
interface Turn {
  readonly state: SourceState;
  readonly open: BlockSource['fetch'];
  readonly comparison: Comparison;
  asked: boolean;
  /** Before it had given everything, because another one is faster. */
  left: boolean;
  /** It was left, or put behind one that was measured to be much faster. */
  slow: boolean;
  failed: unknown;
  readonly wrong: Set<BlockId>;
}

/**
 * Gets blocks from an ordered list of sources, block by block: what one lacks, does not answer, gives with wrong bytes or
 * gives too slowly is asked of the next. One that was measured to be much cheaper is asked before nearer ones. Holds a
 * few blocks for each call of `fetch`, of which several may be under way. Throws only `interrupted`.
 */
export class BlockFetcher {
  readonly #world: World;
  readonly #scope: SnapshotId;
  readonly #stop: AbortSignal;
  readonly #states: readonly SourceState[];

  constructor(world: World, scope: SnapshotId, sources: readonly NamedSource[], stop: AbortSignal) {
    this.#world = world;
    this.#scope = scope;
    this.#stop = stop;
    this.#states = sources.map(newState);
  }

  /** Each of `ids` (no two alike) once, in any order, and all of them checked. */
  fetch(ids: readonly BlockId[]): AsyncGenerator<Fetched> {
    return this.#fetch(ids, true);
  }

  /** The same for whoever opens them, and compares those that must be hashed with their ids: what is on the own disk need not even be hashed. */
  fetchToOpen(ids: readonly BlockId[]): AsyncGenerator<Fetched> {
    return this.#fetch(ids, false);
  }

  usage(): readonly SourceUsage[] {
    return this.#states.map(({ name, bytes, blocks }) => ({ name, bytes, blocks }));
  }

  faults(): readonly SourceFault[] {
    return this.#states.flatMap(faultsOf);
  }

  async *#fetch(ids: readonly BlockId[], checked: boolean): AsyncGenerator<Fetched> {
    const size = this.#world.limits.ids_per_message;
    for (let at = 0; at < ids.length; at += size) {
      yield* this.#batch(new Set(ids.slice(at, at + size)), checked);
    }
  }

  async *#batch(wanted: Set<BlockId>, checked: boolean): AsyncGenerator<Fetched> {
    const turns = this.#states.map((state) => newTurn(state, checked));
    let ask = turns.filter(({ state }) => !state.over);
    while (ask.length > 0) {
      for (const turn of this.#inOrder(ask, wanted)) {
        if (wanted.size > 0) yield* this.#ask(turn, turns, wanted);
      }
      if (wanted.size === 0) return;
      ask = turns.filter((turn) => !turn.state.over && (turn.left || mayRetry(turn.failed)));
      if (ask.length > 0 && !ask.some(({ left }) => left)) {
        await this.#pause(Math.min(...ask.map(({ state }) => state.failures)));
      }
    }
    for (const id of wanted) yield { kind: 'lost', id, error: lostError(turns, id) };
  }

  async *#ask(turn: Turn, turns: readonly Turn[], wanted: Set<BlockId>): AsyncGenerator<FetchedBlock> {
    const ids = [...wanted];
    let surplus = 0;
    turn.failed = null;
    turn.asked = true;
    turn.left = false;
    try {
      for await (const { id, block } of this.#checked(turn, this.#patiently(turn, turns, ids, wanted))) {
        interruptedIf(this.#stop);
        if (!wanted.has(id)) {
          if (surplus++ < ids.length) continue;
          throw new LowtideError('bad-request', 'it sends blocks that nobody asked for');
        }
        if (!this.#intact(turn, id, block)) continue;
        // What a nearer one gives was never to come from it.
        for (const nearer of turns.slice(0, turns.indexOf(turn))) {
          if (nearer.slow) nearer.state.outrunBy.add(turn.state.name);
        }
        wanted.delete(id);
        yield { kind: 'block', id, bytes: block.bytes, unchecked: uncheckedOf(turn, block) };
      }
    } catch (error) {
      interruptedIf(this.#stop);
      turn.failed = error;
      this.#failed(turn.state, error);
    }
    interruptedIf(this.#stop);
  }

  #patiently(
    turn: Turn,
    turns: readonly Turn[],
    ids: readonly BlockId[],
    wanted: ReadonlySet<BlockId>,
  ): AsyncIterable<SealedBlock> {
    const asking = {
      clock: this.#world.clock,
      cost: turn.state.cost,
      open: (stop: AbortSignal) => turn.open(this.#scope, ids, stop),
      worthLeaving: (bytesPerMs: number) => wanted.size === 0 || this.#isBeaten(turns, bytesPerMs, wanted),
      onLeave: () => {
        turn.left = wanted.size > 0;
        turn.slow ||= turn.left;
      },
    };
    return patiently(asking, this.#stop);
  }

  #inOrder(turns: readonly Turn[], wanted: ReadonlySet<BlockId>): readonly Turn[] {
    const bytes = this.#expected(wanted);
    const left = [...turns];
    const ordered: Turn[] = [];
    while (left.length > 0) {
      const [nearest] = left;
      const costs = left.map(({ state }) => state.cost.estimate(bytes));
      const cheapest = costs.indexOf(Math.min(...costs));
      const next = isMuchLess(costs[cheapest]!, nearest!.state.cost.estimate(bytes)) ? cheapest : 0;
      if (next > 0) nearest!.slow = true;
      ordered.push(...left.splice(next, 1));
    }
    return ordered;
  }

  /** One that has not been asked yet would be done much sooner. */
  #isBeaten(turns: readonly Turn[], bytesPerMs: number, wanted: ReadonlySet<BlockId>): boolean {
    const bytes = this.#expected(wanted);
    const others = turns.filter(({ asked, state }) => !asked && !state.over);
    const estimates = others.map(({ state }) => state.cost.estimate(bytes));
    return isMuchLess(Math.min(...estimates), bytes / bytesPerMs);
  }

  /** Bytes of so many blocks, if they are like those before. */
  #expected({ size }: ReadonlySet<BlockId>): number {
    let [blocks, bytes] = [0, 0];
    for (const state of this.#states) {
      blocks += state.blocks;
      bytes += state.bytes;
    }
    return size * (blocks === 0 ? this.#world.limits.block_run_bytes_average : bytes / blocks);
  }

  /** Each with its bytes, or with null if they are not what its id says. */
  async *#checked({ comparison }: Turn, blocks: AsyncIterable<SealedBlock>): AsyncGenerator<Checked> {
    const { work, limits } = this.#world;
    const check = async (block: SealedBlock): Promise<Checked> => {
      const { id, bytes } = block;
      return { id, block: isTooLong(bytes) ? null : ((await checkBlockIds(work, [block]))[0] ?? null) };
    };
    const isTooLong = ({ length }: Uint8Array): boolean => length > HEADER_BYTES + limits.block_bytes_max;
    if (comparison !== 'here') {
      for await (const block of blocks) yield { id: block.id, block: isTooLong(block.bytes) ? null : block };
    } else
      yield* mappedAhead(blocks, check, { weigh: weightOf, most: AHEAD_BLOCKS * limits.block_plain_bytes });
  }

  #intact({ state, wrong }: Turn, id: BlockId, block: SealedBlock | null): block is SealedBlock {
    if (block !== null) {
      state.blocks++;
      state.bytes += block.bytes.length;
      state.failures = 0;
      return true;
    }
    wrong.add(id);
    if (state.everWrong.size < WRONG_KEPT_MAX) state.everWrong.add(id);
    return false;
  }

  #failed(state: SourceState, error: unknown): void {
    if (isLowtideError(error, 'no-such-snapshot', 'not-found')) {
      state.over = true;
      return;
    }
    state.failedCount++;
    state.lastFailure = error;
    state.over = ++state.failures >= FAILURES_MAX;
  }

  async #pause(failures: number): Promise<void> {
    const { retry_ms_min, retry_ms_max } = this.#world.limits;
    await this.#world.clock.sleep(Math.min(retry_ms_min * 2 ** failures, retry_ms_max), this.#stop);
    interruptedIf(this.#stop);
  }
}

function newTurn(state: SourceState, checked: boolean): Turn {
  const { source } = state;
  const comparison = comparisonOf(source, checked);
  const open: BlockSource['fetch'] = (scope, ids, stop) =>
    comparison === 'open' ? source.fetchUnchecked!(scope, ids, stop) : source.fetch(scope, ids, stop);
  return { state, open, comparison, asked: false, left: false, slow: false, failed: null, wrong: new Set() };
}

function comparisonOf(source: BlockSource, here: boolean): Comparison {
  if (!here && source.fetchUnchecked !== undefined) return 'open';
  if (source.checked === true) return 'done';
  return here ? 'here' : 'hash';
}

function uncheckedOf({ state, comparison }: Turn, { bytes: { length } }: SealedBlock): Unchecked | null {
  if (comparison === 'done' || comparison === 'here') return null;
  let counted = 1;
  return {
    mustHash: comparison === 'hash',
    withdraw() {
      state.blocks -= counted;
      state.bytes -= counted * length;
      counted = 0;
    },
  };
}

function lostError(turns: readonly Turn[], id: BlockId): LowtideError {
  const damaged = turns.some(({ wrong }) => wrong.has(id));
  const said = turns.map((turn) => `${turn.state.name} ${answerOf(turn, id)}`).join('; ');
  return new LowtideError(
    damaged ? 'damaged-block' : 'block-unavailable',
    `block ${shortId(id)} cannot be had: ${said || 'there is no source to ask'}`,
  );
}

function answerOf({ state, wrong, failed }: Turn, id: BlockId): string {
  if (wrong.has(id)) return 'has it damaged';
  const failure = failed ?? (state.over ? state.lastFailure : null);
  return failure === null ? 'lacks it' : `does not give it (${messageOf(failure)})`;
}

function newState({ name, source, cost = new SourceCost() }: NamedSource): SourceState {
  return {
    name,
    source,
    cost,
    blocks: 0,
    bytes: 0,
    failures: 0,
    over: false,
    everWrong: new Set(),
    failedCount: 0,
    lastFailure: null,
    outrunBy: new Set(),
  };
}

const weightOf = ({ bytes }: SealedBlock): number => bytes.length;

const isMuchLess = (oneMs: number, otherMs: number): boolean => oneMs * FASTER + SAVED_MS < otherMs;

function mayRetry(failure: unknown): boolean {
  return isLowtideError(failure) && errorRegistry[failure.code].retry;
}

function faultsOf(state: SourceState): SourceFault[] {
  const { name, everWrong, failedCount, lastFailure, outrunBy, cost } = state;
  const faults: SourceFault[] = [];
  const [firstWrong] = everWrong;
  if (firstWrong !== undefined) {
    const which = everWrong.size === 1 ? `block ${shortId(firstWrong)}` : `${everWrong.size} blocks`;
    const message = `${name} has ${which} damaged: verify it`;
    faults.push({ name, code: 'hash-mismatch', message });
  }
  if (failedCount > 0) {
    const code = isLowtideError(lastFailure) ? lastFailure.code : 'block-unavailable';
    const gaveUp = state.over ? ', and was not asked again' : '';
    const times = failedCount === 1 ? 'once' : `${failedCount} times`;
    const message = `${name} failed ${times}${gaveUp}: ${messageOf(lastFailure)}`;
    faults.push({ name, code, message });
  }
  if (outrunBy.size > 0) {
    const others = [...outrunBy].join(' and ');
    const message = `${name} was slow (${costText(cost)}): ${others} gave what was to come from it`;
    faults.push({ name, code: 'slow-source', message });
  }
  return faults;
}

/** As it was found to be, in this restore or before. */
function costText({ known, hasGiven }: SourceCost): string {
  const seconds = Math.round((known?.latencyMs ?? 0) / 100) / 10;
  if (known === null || !hasGiven) return `it gave nothing for ${seconds} s`;
  return `${seconds} s to answer, then ${bytesText(known.bytesPerSecond)} a second`;
}
