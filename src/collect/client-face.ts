import type { SealedBlock } from '../format/block.ts';
import { parseManifest } from '../format/manifest.ts';
import { openVoid } from '../format/void-record.ts';
import { findClient } from '../ledger/clients.ts';
import { copiesOf, copyState, findCopy, setPhase } from '../ledger/copies.ts';
import { appendHistory } from '../ledger/history.ts';
import { addReceived, findOffer, removeOffer } from '../ledger/offers.ts';
import { findSnapshot } from '../ledger/snapshots.ts';
import type { CopyRow } from '../ledger/tables.ts';
import { LowtideError } from '../model/errors.ts';
import type {
  CopyQuery,
  CopyRecord,
  CopyState,
  Hello,
  Order,
  Page,
  Welcome,
  Wishes,
} from '../model/exchange.ts';
import type { BlockId, ClientId, DomainKeyId, OrderId, SnapshotId } from '../model/ids.ts';
import { untilStopped } from '../model/stopping.ts';
import type { CenterApi, CommitAnswer } from '../protocol/center-api.ts';
import type { Collector } from './collector.ts';
import { commitSnapshot } from './committing.ts';
import { type ActiveOrder, orderEnded } from './order-book.ts';
import { receiveBlocks } from './receiving.ts';
import { receiveOffer } from './reception.ts';
import { welcome } from './sessions.ts';

/** What a collector offers to one client. Whatever it is asked, it answers about this client's own things only. */
export class ClientFace implements CenterApi {
  readonly #collector: Collector;
  readonly #client: ClientId;
  readonly #address: string | null;

  constructor(collector: Collector, client: ClientId, address: string | null) {
    this.#collector = collector;
    this.#client = client;
    this.#address = address;
  }

  async hello(me: Hello): Promise<Welcome> {
    if (me.client !== this.#client)
      throw new LowtideError('forbidden', "this certificate is another client's");
    return await welcome(this.#collector, me, this.#address);
  }

  async offer(manifest: Uint8Array, keyring: Uint8Array, wishes: Wishes): Promise<readonly CopyState[]> {
    const { parts } = this.#collector;
    const request = { manifest, keyring, wishes, address: this.#address };
    const received = await receiveOffer(parts, this.#client, request);
    if (received.kind === 'queued' && this.#collector.book.ofSnapshot(received.signed.id) === null) {
      const offer = await findOffer(parts.ledger.db, received.signed.id);
      if (offer !== null) this.#collector.queue(offer);
    }
    return (await copiesOf(parts.ledger.db, received.signed.id)).map((row) => this.#stateOf(row));
  }

  async *orders(stop: AbortSignal): AsyncIterable<Order> {
    const { book } = this.#collector;
    const session = book.openSession(this.#client);
    try {
      this.#collector.tell({ kind: 'online', client: this.#client });
      yield { kind: 'news' };
      yield* untilStopped(session.queue, stop);
    } finally {
      if (book.closeSession(session)) this.#collector.tell({ kind: 'offline', client: this.#client });
    }
  }

  async missing(id: OrderId, ids: readonly BlockId[]): Promise<readonly BlockId[]> {
    const { parts } = this.#collector;
    if (ids.length > parts.world.limits.ids_per_message) {
      throw new LowtideError(
        'too-large',
        `ask for at most ${parts.world.limits.ids_per_message} blocks at once`,
      );
    }
    return await this.#within(id, async () => {
      const present = await parts.depot.has(await this.#domains(), ids);
      return ids.filter((block) => !present.has(block));
    });
  }

  async *blocks(id: OrderId, from: AsyncIterable<SealedBlock>): AsyncIterable<readonly BlockId[]> {
    const order = this.#collector.begin(this.#client, id);
    const { parts, writers } = this.#collector;
    try {
      const domains = await this.#domains();
      const onDurable = (bytes: number): Promise<void> => this.#onDurable(order, bytes);
      const stream = { from, domains, limits: parts.world.limits, stop: order.stop.signal, onDurable };
      yield* receiveBlocks(writers, stream);
      if (order.stop.signal.aborted) throw orderEnded(order);
    } finally {
      this.#collector.settle(order);
    }
  }

  async commit(id: OrderId): Promise<CommitAnswer> {
    const { parts } = this.#collector;
    return await this.#within(id, async (order) => {
      const offer = await findOffer(parts.ledger.db, order.snapshot);
      if (offer === null) throw new LowtideError('wrong-state', 'this snapshot is not on offer any more');
      const answer = await commitSnapshot(parts, {
        signed: parseManifest(offer.manifest),
        domains: await this.#domains(),
        address: this.#address,
        receivedAt: parts.world.clock.now(),
        receivedBytes: offer.received,
      });
      if (answer.kind === 'receipt') this.#collector.endOrder(order, 'committed', '');
      return answer;
    });
  }

  async copies(query: CopyQuery): Promise<Page<CopyRecord>> {
    const { ledger, world } = this.#collector.parts;
    const rows = await ledger.db
      .selectFrom('copies')
      .innerJoin('snapshots', 'snapshots.id', 'copies.snapshot')
      .selectAll('copies')
      .where('snapshots.client', '=', this.#client)
      .$if(query.snapshot !== undefined, (select) => select.where('snapshot', '=', query.snapshot!))
      .$if(query.after !== undefined, (select) => select.where('snapshot', '>', query.after as SnapshotId))
      .orderBy('snapshot')
      .limit(world.limits.page_rows)
      .execute();
    const records: CopyRecord[] = [];
    for (const row of rows) {
      const manifest = query.manifests === true ? await this.#manifest(row) : null;
      records.push({ ...this.#stateOf(row), receipt: row.receipt, manifest });
    }
    return { rows: records, next: rows.length < world.limits.page_rows ? null : rows.at(-1)!.snapshot };
  }

  async *fetch(scope: SnapshotId, ids: readonly BlockId[], stop: AbortSignal): AsyncIterable<SealedBlock> {
    const { depot, ledger } = this.#collector.parts;
    const snapshot = await findSnapshot(ledger.db, scope);
    if (snapshot?.client !== this.#client)
      throw new LowtideError('no-such-snapshot', 'there is no such snapshot here');
    const own = await depot.has(await this.#domains(), ids);
    const wanted = ids.filter((id) => own.has(id));
    for await (const read of depot.read(wanted, stop)) if ('bytes' in read) yield read;
  }

  async withdraw(id: SnapshotId, record: Uint8Array): Promise<void> {
    const { parts } = this.#collector;
    const { ledger, center, world } = parts;
    const snapshot = await findSnapshot(ledger.db, id);
    if (snapshot?.client !== this.#client)
      throw new LowtideError('no-such-snapshot', 'there is no such snapshot here');
    const client = await findClient(ledger.db, this.#client);
    const signed = openVoid(record, client!.instance_key);
    if (signed.snapshot !== id)
      throw new LowtideError('bad-request', 'the void record names another snapshot');
    const now = world.clock.now();
    await ledger.transaction(async (db) => {
      await setPhase(
        db,
        { snapshot: id, center: center.id, phase: 'void', code: 'voided', until: null },
        now,
      );
      await removeOffer(db, id);
      await appendHistory(db, id, 'voided', now, {
        center: center.id,
        client: this.#client,
        code: signed.reason,
      });
    });
    this.#collector.tell({ kind: 'withdrawn', snapshot: id });
    world.monitor.event({ kind: 'voided', snapshot: id, code: signed.reason });
  }

  async #within<T>(id: OrderId, work: (order: ActiveOrder) => Promise<T>): Promise<T> {
    const order = this.#collector.begin(this.#client, id);
    try {
      return await work(order);
    } finally {
      this.#collector.settle(order);
    }
  }

  async #onDurable(order: ActiveOrder, bytes: number): Promise<void> {
    const { parts } = this.#collector;
    order.received += bytes;
    order.lastActivity = parts.world.clock.monotonic();
    await addReceived(parts.ledger.db, order.snapshot, bytes);
    const offer = await findOffer(parts.ledger.db, order.snapshot);
    if (offer === null) return;
    const left = Math.max(0, offer.wishes.bytes - offer.received);
    this.#collector.tell({ kind: 'progress', snapshot: order.snapshot, bytes: left });
  }

  /** The key domains that are this client's: blocks of others do not exist for it. */
  async #domains(): Promise<ReadonlySet<DomainKeyId>> {
    const domains = new Set<DomainKeyId>();
    for (const { keyring } of await this.#collector.parts.depot.keyrings(this.#client)) {
      for (const epoch of keyring.epochs) domains.add(epoch.domain);
    }
    return domains;
  }

  /** A waiting copy's state is what the planner says now. */
  #stateOf(row: CopyRow): CopyState {
    const state = copyState(row);
    const reason = state.phase === 'waiting' ? this.#collector.reasonFor(row.snapshot) : null;
    return reason === null ? state : { ...state, code: reason.code, until: reason.until };
  }

  async #manifest(row: CopyRow): Promise<Uint8Array | null> {
    const { depot, ledger } = this.#collector.parts;
    const offer = await findOffer(ledger.db, row.snapshot);
    if (offer !== null) return offer.manifest;
    const copy = await findCopy(ledger.db, row.snapshot, row.center);
    return copy?.phase === 'safe' ? (await depot.manifest(row.snapshot)).bytes : null;
  }
}
