import type { BackupResult } from '../backup/plan.ts';
import { Depot } from '../depot/depot.ts';
import { jobMemory } from '../ledger/jobs.ts';
import { chainEnd } from '../ledger/snapshots.ts';
import { Ledger } from '../ledger/ledger.ts';
import { Bell } from '../model/bell.ts';
import { isLowtideError } from '../model/errors.ts';
import type { Job } from '../model/jobs.ts';
import { HOUR_MS, type UnixMillis } from '../model/time.ts';
import { dueAt, parseCalendar } from '../schedule/calendar.ts';
import { Uplink } from '../uplink/uplink.ts';
import type { World } from '../world/ports.ts';
import {
  type AgentIdentity,
  type AgentParts,
  type AgentSettings,
  findJob,
  type Upstream,
} from './agent-parts.ts';
import { discardSpooled, drain } from './spool.ts';
import { finishRuns, takeJob } from './taking.ts';
import type { SnapshotId } from '../model/ids.ts';

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
  readonly #bell = new Bell();
  readonly #drainBell = new Bell();
  #taking: Promise<unknown> = Promise.resolve();
  #current: string | null = null;

  private constructor(parts: AgentParts) {
    this.parts = parts;
    const { world, depot, ledger, identity, settings } = parts;
    this.uplinks = parts.upstreams.map(
      ({ face, connect }) =>
        new Uplink({
          world,
          depot,
          ledger,
          client: identity.client,
          instance: identity.instance,
          software: settings.software,
          signingKey: identity.signingKey,
          center: face,
          connect,
          job: async (name) => (await settings.jobs()).find((job) => job.name === name) ?? null,
          onReceipt: () => this.#drainBell.ring(),
        }),
    );
  }

  /** Opens the data folder as its one writer and makes up for what a crash left half-done. */
  static async open(world: World, options: AgentOptions): Promise<Agent> {
    const { path, identity, settings, upstreams } = options;
    const depot = await Depot.open(world, `${path}/spool`, 'write');
    const ledger = await Ledger.open(world, `${path}/ledger.db`);
    const parts = { world, depot, ledger, identity, settings, upstreams };
    await depot.putKeyring(identity.keyring.signed);
    await finishRuns(parts);
    await drain(parts);
    return new Agent(parts);
  }

  async close(): Promise<void> {
    await this.#taking.catch(() => undefined);
    await this.parts.ledger.close();
    await this.parts.depot.close();
  }

  /** The daemon's life: until `stop`, at any point of any work. */
  async run(stop: AbortSignal): Promise<void> {
    await Promise.all([this.#takeAtTheirHour(stop), this.deliver(stop)]);
  }

  /** Sends what is in the spool and frees it on receipt, until `stop`; takes nothing by itself. */
  async deliver(stop: AbortSignal): Promise<void> {
    await Promise.all([this.#drainOnReceipt(stop), ...this.uplinks.map((uplink) => uplink.run(stop))]);
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
    const taken = this.#taking
      .catch(() => undefined)
      .then(async () => {
        this.#current = job.name;
        return await takeJob(this.parts, job, stop);
      })
      .finally(() => {
        this.#current = null;
      });
    this.#taking = taken.catch(() => undefined);
    const result = await taken;
    for (const uplink of this.uplinks) uplink.wake();
    return result;
  }

  async discard(id: SnapshotId): Promise<readonly SnapshotId[]> {
    const discarded = await discardSpooled(this.parts, id);
    for (const uplink of this.uplinks) uplink.wake();
    this.reschedule();
    return discarded;
  }

  /** When the job's next backup is due; null if never. May be in the past: then it is due now. */
  async nextDue(job: Job): Promise<UnixMillis | null> {
    const { world, ledger, identity } = this.parts;
    const now = world.clock.now();
    const memory = await jobMemory(ledger.db, job.name, now);
    // One that was stopped with the agent is no failure: it starts again with it.
    const failed = !['', 'interrupted'].includes(memory.last_code) && memory.last_tried !== null;
    if (await this.#mustGoOn(job)) return failed ? memory.last_tried! + RETRY_MS : now;
    const calendar = parseCalendar(job.backup, job.zone);
    const spread = Number.parseInt(identity.client.slice(0, 8), 16) / 2 ** 32;
    const due = dueAt(calendar, { lastTaken: memory.last_taken, since: memory.since, now, spread });
    if (due === null || due > now || !failed) return due;
    return Math.max(due, memory.last_tried! + RETRY_MS);
  }

  /** A partial snapshot that was collected: the run goes on from there (DESIGN 4.6). */
  async #mustGoOn(job: Job): Promise<boolean> {
    const end = await chainEnd(this.parts.ledger.db, this.parts.identity.instance, job.name);
    return end !== null && end.complete === 0 && end.pack_group === null;
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
      const over = new AbortController();
      const until = AbortSignal.any([stop, over.signal]);
      const wait = Math.min(Math.max(0, schedule.next - clock.now()), limits.plan_interval_ms);
      const rung = this.#bell.wait(until).then((ring) => {
        if (ring) schedule = { ...schedule, next: -Infinity };
      });
      await Promise.race([rung, clock.sleep(wait, until)]);
      over.abort();
    }
  }

  /** Answers when the next backup is due; Infinity if none is. */
  async #takeWhatIsDue(jobs: readonly Job[], stop: AbortSignal): Promise<UnixMillis> {
    const { clock } = this.parts.world;
    let next = Infinity;
    for (const job of jobs) {
      const due = await this.nextDue(job);
      if (due === null) continue;
      if (due > clock.now()) next = Math.min(next, due);
      else {
        await this.#takeDue(job, stop);
        next = clock.now();
      }
      if (stop.aborted) break;
    }
    return next;
  }

  /** What went wrong is in the ledger, the log and the status already. */
  async #takeDue(job: Job, stop: AbortSignal): Promise<void> {
    try {
      await this.take(job.name, stop);
    } catch (error) {
      if (!isLowtideError(error)) throw error;
    }
  }

  async #drainOnReceipt(stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      await this.#drainBell.wait(stop);
      if (stop.aborted) return;
      await drain(this.parts);
      this.reschedule();
    }
  }
}
