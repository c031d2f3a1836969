import { isFull, isLowtideError, LowtideError } from '../../model/errors.ts';
import type { CenterFace } from '../../model/exchange.ts';
import type { ClientId, InstanceId } from '../../model/ids.ts';
import { centerIdOf } from '../../format/signing.ts';
import { type CenterApi, PROTOCOL_VERSION } from '../../protocol/center-api.ts';
import type { Collector } from '../collector.ts';
import { PullBudget } from './budget.ts';
import { pullClients } from './clients.ts';
import { listSnapshotsOf } from './list.ts';
import {
  NO_PROGRESS,
  type OpenSource,
  type PulledClient,
  type PullProblem,
  type PullProgress,
  type PullSource,
  type PullWish,
  type PullWork,
} from './parts.ts';
import { isSourceTrouble, patient } from './patience.ts';
import { pullSnapshot } from './snapshot.ts';

/** Who pulls: what the sources know this center by. */
export interface PullerIdentity {
  readonly client: ClientId;
  readonly software: string;
}

/** Problems that are remembered; the rest is only counted. */
const PROBLEMS_MAX = 1000;

/**
 * Fetches from other nodes what this center lacks of what they have (DESIGN 4.6): who the clients are, their keyrings and
 * memberships; then snapshot by snapshot, bases first, the blocks by set difference. Nothing is believed that is not signed
 * by whose it is, and each snapshot gets this center's own receipt. May be stopped at any point, and started again.
 */
export class Pull {
  readonly problems: PullProblem[] = [];
  #progress: PullProgress = NO_PROGRESS;
  readonly #collector: Collector;
  readonly #identity: PullerIdentity;
  readonly #sources: readonly PullSource[];
  readonly #wish: PullWish;

  constructor(
    collector: Collector,
    identity: PullerIdentity,
    sources: readonly PullSource[],
    wish: PullWish,
  ) {
    if (collector.parts.above !== null) throw new TypeError('only a center pulls');
    this.#collector = collector;
    this.#identity = identity;
    this.#sources = sources;
    this.#wish = wish;
  }

  get progress(): PullProgress {
    return this.#progress;
  }

  /**
   * True when everything was looked at, whatever `problems` says; false if `stop` came first.
   * @throws LowtideError what a source says that cannot be asked, also after many attempts; what the own disk says
   */
  async run(stop: AbortSignal): Promise<boolean> {
    const work = await this.#open(stop);
    for (const client of await pullClients(work)) {
      if (stop.aborted) return false;
      if (!(await this.#pullClient(work, client))) return false;
    }
    if (stop.aborted) return false;
    this.#note({ phase: 'done', until: null });
    return true;
  }

  async #open(stop: AbortSignal): Promise<PullWork> {
    const { clock } = this.#collector.parts.world;
    const sources: OpenSource[] = [];
    for (const source of this.#sources) sources.push(await this.#greet(source, stop));
    const { rate, windows } = this.#wish;
    return {
      collector: this.#collector,
      sources,
      wish: this.#wish,
      budget: new PullBudget(clock, rate, windows),
      stop,
      note: (change) => this.#note(change),
      problem: (problem) => this.#report(problem),
    };
  }

  async #greet({ face, centers, connect }: PullSource, stop: AbortSignal): Promise<OpenSource> {
    const { ledger, world, center } = this.#collector.parts;
    const { client, software } = this.#identity;
    if (face.id === center.id) {
      throw new LowtideError('bad-request', `${face.name} is this very center: pull from another one`);
    }
    const api: CenterApi = await connect();
    const fact = `session/${face.id}`;
    const welcome = await api.hello({
      protocol: PROTOCOL_VERSION,
      client,
      instance: client as string as InstanceId,
      software,
      session: await ledger.fact(fact),
      clock: world.clock.now(),
    });
    if (welcome.center.id !== face.id) {
      throw new LowtideError(
        'wrong-center',
        `this is ${welcome.center.name}, not ${face.name} that was joined`,
      );
    }
    await ledger.setFact(fact, welcome.session);
    const named = [...centers, ...welcome.centers].filter(
      (each: CenterFace) => each.kind === 'center' && centerIdOf(each.receiptKey) === each.id,
    );
    return { face, api: patient(api, world, stop), centers: named };
  }

  /** False if the pull was stopped. */
  async #pullClient(work: PullWork, client: PulledClient): Promise<boolean> {
    let news = false;
    try {
      for (const listed of await listSnapshotsOf(work, client)) {
        if (work.stop.aborted) return false;
        try {
          const pulled = await pullSnapshot(work, client, listed);
          if (pulled === 'stopped') return false;
          if (pulled === 'pulled') work.note({ pulled: 1 });
          news ||= pulled === 'pulled';
        } catch (error) {
          if (!isLowtideError(error) || isSourceTrouble(error) || isOwnTrouble(error)) throw error;
          const { code, message } = error;
          work.problem({ client: client.known.client, snapshot: listed.id, code, message });
          await this.#collector.parts.depot.unpin(listed.id);
        }
      }
    } finally {
      // Whoever waits for one of these hears that it has come.
      if (news) await this.#collector.news(client.known.client);
    }
    return !work.stop.aborted;
  }

  #note(change: Partial<PullProgress>): void {
    const { phase, until, ...counts } = change;
    const next: Record<string, unknown> = { ...this.#progress };
    for (const [name, count] of Object.entries(counts)) next[name] = (next[name] as number) + count;
    if (phase !== undefined) next['phase'] = phase;
    if (until !== undefined) next['until'] = until;
    this.#progress = next as unknown as PullProgress;
  }

  #report(problem: PullProblem): void {
    if (problem.snapshot !== null) this.#note({ failed: 1 });
    if (this.problems.length < PROBLEMS_MAX) this.problems.push(problem);
    const { code, client, snapshot, message } = problem;
    const about = snapshot ?? client ?? '';
    const text = `a pull could not take over ${about.slice(0, 12)}: ${message}`;
    this.#collector.parts.world.monitor.event({ kind: 'alarm', code, message: text });
  }
}

/** Nothing more can be stored here. */
function isOwnTrouble(error: LowtideError): boolean {
  return isFull(error.code) || error.code === 'disk-failed';
}
