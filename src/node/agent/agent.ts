import type { BackupResult } from '../../backup/plan.ts';
import { Depot } from '../../depot/depot.ts';
import { copiesOf } from '../../ledger/copies.ts';
import { jobMemory } from '../../ledger/jobs.ts';
import { chainEnd, spooledSnapshots } from '../../ledger/snapshots.ts';
import { Ledger } from '../../ledger/ledger.ts';
import type { Loss } from '../../ledger/losses.ts';
import { Bell } from '../../model/bell.ts';
import { isLowtideError } from '../../model/errors.ts';
import type { SnapshotId } from '../../model/ids.ts';
import type { Job } from '../../model/jobs.ts';
import { HOUR_MS, type UnixMillis } from '../../model/time.ts';
import { dueAt, parseCalendar } from '../../schedule/calendar.ts';
import { OwnSnapshots } from '../../uplink/own-snapshots.ts';
import { loseCustodyOfOthers } from '../../uplink/custody-lost.ts';
import { idsOf, type Sender } from '../../uplink/parts.ts';
import type { Uplink } from '../../uplink/uplink.ts';
import type { World } from '../../world/ports.ts';
import { type AgentIdentity, type AgentParts, type AgentSettings, findJob, type Upstream } from './parts.ts';
import { DRAIN_AGAIN_MS, drainWhenRung } from '../draining.ts';
import { keepLoss, recallLosses } from './loss-notes.ts';
import { countLost } from './lost-files.ts';
import { NotWhile } from './not-while.ts';
import { finishRuns } from './runs.ts';
import { discardSpooled, drain, dropOldBases } from './spool.ts';
import { takeJob } from './taking.ts';
import { Troubles } from '../troubles.ts';
import { Turns } from '../../model/turns.ts';
import { makeUplinks } from '../uplinks.ts';

/** A backup that failed is tried again after this, or at its next hour if that comes first. */
const RETRY_MS = HOUR_MS;

export interface AgentOptions {
  /** Data folder: `spool/` and `ledger.db` live in it. */
  readonly path: string;
  readonly identity: AgentIdentity;
  readonly settings: AgentSettings;
  readonly upstreams: readonly Upstream[];
}

/**
 * The machine of a user (SEED 101): takes backups at their hour into the spool, offers them to the centers they are
 * owed to, sends on order, frees on receipt. Backup, depot and uplink, and nothing else.
 */
export class Agent {
  readonly parts: AgentParts;
  readonly uplinks: readonly Uplink[];
  readonly notWhile: NotWhile;
  readonly #bell = new Bell();
  readonly #drainBell = new Bell();
  /** Backups, and whatever must not happen beside one. */
  readonly #turns = new Turns();
  /** Old bases are to be dropped at the next turn. */
  #tidying = false;
  readonly #troubles: Troubles;
  readonly #sender: Sender;
  #current: string | null = null;

  private constructor(parts: AgentParts) {
    this.parts = parts;
    this.#troubles = new Troubles(parts.world.monitor);
    const { world, depot, ledger, identity, settings } = parts;
    const { client, instance, signingKey } = identity;
    const job = async (name: string): Promise<Job | null> =>
      (await settings.jobs()).find((each) => each.name === name) ?? null;
    const { keys } = identity.keyring;
    const lostFiles = (id: SnapshotId, most: number) => countLost({ world, depot, ledger, keys }, id, most);
    const self = { world, depot, ledger, client, instance };
    const wake = (): void => {
      for (const uplink of this.uplinks) uplink.wake();
    };
    this.notWhile = notWhileOf(parts, wake);
    const holds = (): Promise<boolean> => this.notWhile.holds();
    const keep = (loss: Loss): Promise<void> => keepLoss(parts, loss);
    const sender = new OwnSnapshots({ ...self, signingKey, job, lostFiles, keepLoss: keep, holds });
    this.#sender = sender;
    const drains = (): void => this.#drainBell.ring();
    const heard = { onConnected: () => {}, onReceipt: drains, onChange: drains };
    const { software } = settings;
    const sending = { ...self, software, node: null, sender };
    this.uplinks = makeUplinks(parts.upstreams, { ...sending, yields: () => settings.yield, ...heard });
  }

  /**
   * Opens the data folder as its one writer and makes up for what a crash left half-done.
   * @throws LowtideError `not-a-depot`, `locked`, `newer-format` ...; what is damaged inside is an alarm, not an obstacle
   */
  static async open(world: World, options: AgentOptions): Promise<Agent> {
    const { path, identity, settings, upstreams } = options;
    const depot = await Depot.open(world, `${path}/spool`, 'write');
    try {
      const ledger = await Ledger.open(world, `${path}/ledger.db`);
      const agent = new Agent({ world, depot, ledger, identity, settings, upstreams });
      try {
        await depot.putKeyring(identity.keyring.signed);
        await agent.#troubles.survive(
          'bringing spool and ledger together',
          () => finishRuns(agent.parts),
          undefined,
        );
        await agent.#troubles.survive(
          'forgetting relays that were left',
          () => agent.#forgetLeft(),
          undefined,
        );
        await agent.#troubles.survive(
          'recalling what relays have lost',
          () => recallLosses(agent.parts, agent.#sender),
          undefined,
        );
        await agent.#drain();
        return agent;
      } catch (error) {
        await ledger.close();
        throw error;
      }
    } catch (error) {
      await depot.close();
      throw error;
    }
  }

  async #forgetLeft(): Promise<void> {
    const { world, ledger, upstreams } = this.parts;
    const losing = { world, ledger, sender: this.#sender, node: null };
    await loseCustodyOfOthers(losing, idsOf(upstreams.map(({ face }) => face)));
  }

  async close(): Promise<void> {
    await this.#turns.over();
    await this.parts.ledger.close();
    await this.parts.depot.close();
  }

  /** The daemon's life: until `stop`, at any point of any work. */
  async run(stop: AbortSignal): Promise<void> {
    await Promise.all([this.#takeAtTheirHour(stop), this.deliver(stop)]);
  }

  /** Sends what is in the spool and frees it on receipt, until `stop`; takes nothing by itself. */
  async deliver(stop: AbortSignal): Promise<void> {
    const sending = this.uplinks.map((uplink) => uplink.run(stop));
    await Promise.all([this.#drainOnReceipt(stop), this.notWhile.run(stop), ...sending]);
  }

  /** Jobs were changed: look at the schedule anew. */
  reschedule(): void {
    this.#bell.ring();
  }

  /** The job whose backup is being taken now. */
  get taking(): string | null {
    return this.#current;
  }

  /** Takes one backup now, after the one under way. */
  async take(name: string, stop: AbortSignal): Promise<BackupResult> {
    const job = await findJob(this.parts.settings, name);
    const result = await this.#turns.take(async () => {
      this.#current = job.name;
      return await takeJob(this.parts, job, stop).finally(() => {
        this.#current = null;
      });
    });
    for (const uplink of this.uplinks) uplink.wake();
    return result;
  }

  /** After the backup under way, which may lean on it: then that is discarded too. */
  async discard(id: SnapshotId): Promise<readonly SnapshotId[]> {
    const discarded = await this.#turns.take(() => discardSpooled(this.parts, id));
    for (const uplink of this.uplinks) uplink.wake();
    this.reschedule();
    return discarded;
  }

  /** When the job's next backup is due; null if never. May be in the past: then it is due now. */
  async nextDue(job: Job): Promise<UnixMillis | null> {
    const { world, ledger, identity } = this.parts;
    const now = world.clock.now();
    const { since, last_taken, last_tried, last_code } = await jobMemory(ledger.db, job.name, now);
    const calendar = parseCalendar(job.backup, job.zone);
    const spread = Number.parseInt(identity.client.slice(0, 8), 16) / 2 ** 32;
    const question = { since, now, spread };
    const due = (await this.#mustGoOn(job)) ? now : dueAt(calendar, { ...question, lastTaken: last_taken });
    // One that was stopped with the agent is no failure: it starts again with it.
    const failed = !['', 'interrupted'].includes(last_code);
    // A time that is not over yet was told by a clock that was wrong (S36).
    if (due === null || due > now || !failed || last_tried === null || last_tried > now) return due;
    const nextTurn = dueAt(calendar, { ...question, lastTaken: last_tried });
    return Math.min(last_tried + RETRY_MS, nextTurn ?? Infinity);
  }

  /** A partial snapshot that was collected: the run goes on from there (DESIGN 4.6). One that was discarded ends it. */
  async #mustGoOn(job: Job): Promise<boolean> {
    const { ledger, identity } = this.parts;
    const end = await chainEnd(ledger.db, identity.instance, job.name);
    if (end === null || end.complete === 1 || end.pack_group !== null) return false;
    return (await copiesOf(ledger.db, end.id)).some(({ phase }) => phase === 'safe' || phase === 'held');
  }

  /** Looks at the clock and the jobs file often, because a laptop sleeps and people edit; at the ledger only when due. */
  async #takeAtTheirHour(stop: AbortSignal): Promise<void> {
    const { clock, limits } = this.parts.world;
    let schedule = { jobs: '', next: -Infinity, madeAt: Infinity };
    while (!stop.aborted) {
      const jobs = await this.parts.settings.jobs();
      const text = JSON.stringify(jobs);
      const now = clock.now();
      if (text !== schedule.jobs || now >= schedule.next || now < schedule.madeAt) {
        schedule = { jobs: text, next: await this.#takeWhatIsDue(jobs, stop), madeAt: now };
      }
      const wait = Math.min(Math.max(0, schedule.next - clock.now()), limits.plan_interval_ms);
      const rung = await this.#bell.waitWithin((until) => clock.sleep(wait, until), stop);
      if (rung) schedule = { ...schedule, next: -Infinity };
    }
  }

  /** Answers when the next backup is due; Infinity if none is. A job that cannot be looked at does not hold up others. */
  async #takeWhatIsDue(jobs: readonly Job[], stop: AbortSignal): Promise<UnixMillis> {
    const { clock, limits } = this.parts.world;
    let next = Infinity;
    for (const job of jobs) {
      const work = async (): Promise<UnixMillis | null> => this.#takeIfDue(job, stop);
      const due = await this.#troubles.survive(
        `job ${job.name}`,
        work,
        clock.now() + limits.plan_interval_ms,
      );
      if (due !== null) next = Math.min(next, due);
      if (stop.aborted) break;
    }
    return next;
  }

  async #takeIfDue(job: Job, stop: AbortSignal): Promise<UnixMillis | null> {
    const { clock } = this.parts.world;
    const due = await this.nextDue(job);
    if (due === null || due > clock.now()) return due;
    try {
      await this.take(job.name, stop);
    } catch (error) {
      // It is in the ledger, the log and the status already.
      if (!isLowtideError(error)) throw error;
    }
    return clock.now();
  }

  async #drainOnReceipt(stop: AbortSignal): Promise<void> {
    const drain = async (): Promise<number | null> => {
      const freed = await this.#drain();
      if (freed === true) this.reschedule();
      return freed === null ? DRAIN_AGAIN_MS : null;
    };
    await drainWhenRung(this.parts.world, this.#drainBell, drain, stop);
  }

  /** Blocks go at once; old bases when no backup is being taken that may need them. Null if it failed. */
  async #drain(): Promise<boolean | null> {
    const freed = await this.#troubles.survive('freeing the spool', () => drain(this.parts), null);
    if (freed === true && !this.#tidying) {
      this.#tidying = true;
      void this.#turns.take(async () => {
        this.#tidying = false;
        await this.#troubles.survive('dropping old bases', () => dropOldBases(this.parts), undefined);
      });
    }
    return freed;
  }
}

function notWhileOf({ world, ledger, settings }: AgentParts, onChange: () => void): NotWhile {
  return new NotWhile({
    world,
    programs: () => settings.notWhile ?? [],
    waits: async () => (await spooledSnapshots(ledger.db)).length > 0,
    onChange,
  });
}
