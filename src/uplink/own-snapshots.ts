import type { SigningKey } from '../format/signing.ts';
import type { Depot } from '../depot/depot.ts';
import { copiesOf, setPhase } from '../ledger/copies.ts';
import { appendHistory } from '../ledger/history.ts';
import { updateJob } from '../ledger/jobs.ts';
import { type Loss as Lost, noteLoss } from '../ledger/losses.ts';
import type { Database, Ledger } from '../ledger/ledger.ts';
import { chainEnd, findSnapshot } from '../ledger/snapshots.ts';
import type { SnapshotRow } from '../ledger/tables.ts';
import type { Wishes } from '../model/exchange.ts';
import { type CenterId, type ClientId, type InstanceId, shortId, type SnapshotId } from '../model/ids.ts';
import type { Job } from '../model/jobs.ts';
import type { World } from '../world/ports.ts';
import { closeAt } from './closing.ts';
import { type Holder, idsOf, type Loss, type Sender } from './parts.ts';

export interface OwnerParts {
  readonly world: World;
  readonly depot: Depot;
  readonly ledger: Ledger;
  readonly client: ClientId;
  readonly instance: InstanceId;
  readonly signingKey: SigningKey;
  /** The job as it is configured now, null if it was removed since. */
  readonly job: (name: string) => Promise<Job | null>;
  /** Whether nothing shall be sent now, whatever the job says. */
  readonly holds: () => Promise<boolean>;
  /** What is nowhere any more if nobody has this snapshot: how many files, and at most `most` of them. Null: nobody can say. */
  readonly lostFiles: (snapshot: SnapshotId, most: number) => Promise<LostFiles | null>;
  /** Puts on record, durably, what a relay has lost, for a ledger that will be made anew. */
  readonly keepLoss: (loss: Lost) => Promise<void>;
}

/** Files that were lost with a snapshot. */
export interface LostFiles {
  readonly count: number;
  /** Paths as people read them. */
  readonly first: readonly string[];
}

/** So many files are named in an alarm. */
const NAMED_MAX = 3;

/** A machine sends its own snapshots: what is lost of them it closes with its signature, and takes again. */
export class OwnSnapshots implements Sender {
  readonly #parts: OwnerParts;

  constructor(parts: OwnerParts) {
    this.#parts = parts;
  }

  /** By the job as it is now; once that is gone, by the job as it was: nothing travels at another hour than its owner said. */
  async wishes(row: SnapshotRow, centers: readonly CenterId[]): Promise<Wishes> {
    const job = await this.#parts.job(row.job);
    const target = job === null ? row.target : (job.target ?? null);
    return {
      transfer: (await this.#parts.holds()) ? 'never' : (job?.transfer ?? row.transfer ?? 'any'),
      zone: job?.zone ?? row.zone ?? this.#parts.world.clock.zone,
      centers,
      freeAfter: row.free_after,
      bytes: row.new_bytes,
      blocks: row.new_blocks,
      ...(target === null ? {} : { target }),
    };
  }

  /**
   * The own spool cannot give what is lacking above (decision 0019). The copies there are stuck, and with the void record
   * that is signed here the centers forget them, so that later ones can come; the next snapshot of the job has no base.
   * What is still good of it stays in the spool until a later one is safe.
   */
  async lost(snapshot: SnapshotId, { centers, code, why }: Loss): Promise<void> {
    const { ledger, world } = this.#parts;
    const now = world.clock.now();
    await closeAt(this.#parts, snapshot, idsOf(centers), `the spool of its client is damaged (${code})`);
    await ledger.transaction(async (db) => {
      for (const center of centers) {
        await setPhase(db, { snapshot, center: center.id, phase: 'stuck', code, until: null }, now);
        await appendHistory(db, snapshot, 'failed', now, { center: center.id, code });
      }
      await needEverything(db, snapshot);
    });
    const job = (await findSnapshot(ledger.db, snapshot))?.job ?? 'its job';
    const names = centers.map(({ name }) => name).join(', ');
    const message = `snapshot ${shortId(snapshot)} cannot be sent to ${names}: ${why}; the next backup of ${job} stores everything again`;
    world.monitor.event({ kind: 'alarm', code, message });
  }

  async closing(snapshot: SnapshotId, centers: readonly CenterId[]): Promise<Uint8Array | null> {
    if ((await this.#parts.depot.voidRecord(snapshot)) === null) return null;
    return await closeAt(this.#parts, snapshot, centers, 'it cannot be closed');
  }

  /** What closes its own snapshots is in its own depot. */
  async closedAbove(): Promise<boolean> {
    return false;
  }

  async behind(db: Database, snapshot: SnapshotId): Promise<void> {
    await needEverything(db, snapshot);
  }

  async custodyLost(snapshot: SnapshotId, holder: Holder): Promise<void> {
    const { ledger, world, keepLoss } = this.#parts;
    const now = world.clock.now();
    const loss = { snapshot, at: now, holder: holder.name };
    await keepLoss(loss);
    await ledger.transaction(async (db) => {
      for (const { center, phase } of await copiesOf(db, snapshot)) {
        if (phase !== 'held') continue;
        await setPhase(db, { snapshot, center, phase: 'stuck', code: 'custody-lost', until: null }, now);
        await appendHistory(db, snapshot, 'failed', now, { center, code: 'custody-lost' });
      }
      await noteLoss(db, loss);
      await needEverything(db, snapshot);
    });
    const job = (await findSnapshot(ledger.db, snapshot))?.job ?? 'its job';
    const lost = await this.#lostWith(snapshot);
    const what = `snapshot ${shortId(snapshot)} of ${job}`;
    const why =
      holder.wasLeft === true
        ? `this machine has left ${holder.name}, which alone has ${what}: until a center has it, ${lost}`
        : `${holder.name} has lost ${what}, which this machine had freed on its word: ${lost}`;
    const message = `${why}; the next backup of ${job} stores everything again`;
    world.monitor.event({ kind: 'alarm', code: 'custody-lost', message });
  }

  async #lostWith(snapshot: SnapshotId): Promise<string> {
    const { ledger, lostFiles } = this.#parts;
    const safe = (await copiesOf(ledger.db, snapshot)).some(({ phase }) => phase === 'safe');
    if (safe) return 'nothing is lost, because a center has it';
    const lost = await lostFiles(snapshot, NAMED_MAX);
    const all = "'lowtide snapshots --lost' lists them";
    if (lost === null) return `${all}, as far as the spool still knows`;
    const { count, first } = lost;
    if (count === 0) return 'no file is lost with it';
    const more = count > first.length ? ` and ${count - first.length} more` : '';
    return `${count === 1 ? '1 file is' : `${count} files are`} lost with it (${first.join(', ')}${more}), ${all}`;
  }

  async members(): Promise<[]> {
    return [];
  }

  /** Nothing is below. */
  async left(): Promise<void> {}
}

/**
 * A snapshot cannot be closed at a center. Whatever leans on it cannot be either, so the next one of its job must have
 * no base; unless one without base has been taken since.
 */
async function needEverything(db: Database, snapshot: SnapshotId): Promise<void> {
  const lost = await findSnapshot(db, snapshot);
  if (lost === null) return;
  let row = await chainEnd(db, lost.instance, lost.job);
  while (row !== null && row.id !== lost.id && row.sequence > lost.sequence) {
    row = row.base === null ? null : await findSnapshot(db, row.base);
  }
  if (row?.id === lost.id) {
    await updateJob(db, lost.job, { full_needed: 1 });
  }
}
