import type { SealedBlock } from '../../src/format/block.ts';
import type { CopyPhase, CopyRecord, CopyState, Member, Order } from '../../src/model/exchange.ts';
import type { BlockId, OrderId } from '../../src/model/ids.ts';
import type { CenterApi } from '../../src/protocol/center-api.ts';
import type { RandomStream } from '../../src/sim/random.ts';

/** One call or item in so many is a lie. */
const CALLS_PER_LIE = 4;
const PHASES: readonly CopyPhase[] = ['waiting', 'in-transit', 'held', 'safe', 'behind', 'stuck', 'void'];
const CODES = ['', 'center-went-back', 'custody-lost', 'damaged-block', 'disk-full', 'no-route', 'voided'];

/**
 * A relay that lies to those below and to those above, one call in a few, for as long as it pleases. It has every record
 * that ever went through it, and uses those of others.
 */
export class Liar {
  readonly #random: RandomStream;
  readonly #lies: () => boolean;
  readonly #receipts: Uint8Array[] = [];
  readonly #manifests: Uint8Array[] = [];
  readonly #orders: Order[] = [];
  told = 0;

  /** @param lies whether it does so now */
  constructor(random: RandomStream, lies: () => boolean) {
    this.#random = random;
    this.#lies = lies;
  }

  /** What those below are told. */
  below(api: CenterApi): CenterApi {
    return {
      ...api,
      hello: async (me) => {
        const welcome = await api.hello(me);
        return this.#now() ? { ...welcome, incarnation: this.#hex(32) } : welcome;
      },
      offer: async (manifest, keyring, wishes) => {
        this.#manifests.push(manifest);
        const states = await api.offer(manifest, keyring, wishes);
        return states.map((state) => this.#state(state));
      },
      orders: (stop) => this.#bogusOrders(api.orders(stop)),
      missing: async (order, ids) => {
        const missing = await api.missing(order, ids);
        if (!this.#now()) return missing;
        return this.#random.pick([[], [...ids].toReversed(), [this.#hex(64) as BlockId], missing.slice(1)]);
      },
      blocks: (order, from) => (this.#now() ? swallow(from) : api.blocks(order, from)),
      commit: async (order) => {
        const answer = await api.commit(order);
        if (answer.kind === 'receipt') this.#receipts.push(answer.receipt);
        if (!this.#now()) return answer;
        if (this.#random.below(3) === 0) return { kind: 'missing', missing: [this.#hex(64) as BlockId] };
        return { kind: 'receipt', receipt: this.#receipt() };
      },
      copies: async (query) => {
        const page = await api.copies(query);
        return { ...page, rows: page.rows.flatMap((row) => this.#row(row)) };
      },
      fetch: (scope, ids, stop) => this.#spoil(api.fetch(scope, ids, stop)),
    };
  }

  /** What those above are told. */
  above(api: CenterApi): CenterApi {
    return {
      ...api,
      offer: async (manifest, keyring, wishes) => {
        const other = this.#now() ? this.#random.pick([this.#bent(manifest), ...this.#manifests]) : manifest;
        return await api.offer(other, keyring, wishes);
      },
      enroll: async (members) => await api.enroll(members.map((member) => this.#member(member))),
      blocks: (order, from) => api.blocks(order, this.#spoil(from)),
      withdraw: async (id, record, centers) =>
        await api.withdraw(id, this.#now() ? this.#bent(record) : record, centers),
    };
  }

  #now(): boolean {
    if (!this.#lies() || this.#random.below(CALLS_PER_LIE) > 0) return false;
    this.told++;
    return true;
  }

  #hex(digits: number): string {
    return Buffer.from(this.#random.bytes(digits / 2)).toString('hex');
  }

  #bent(bytes: Uint8Array): Uint8Array {
    const bent = Uint8Array.from(bytes);
    bent[this.#random.below(bent.length)]! ^= 1 << this.#random.below(8);
    return bent;
  }

  #receipt(): Uint8Array {
    const known = this.#receipts.length === 0 ? [] : [this.#random.pick(this.#receipts)];
    return this.#random.pick([this.#random.bytes(100), ...known]);
  }

  #state<State extends CopyState>(state: State): State {
    if (!this.#now()) return state;
    const [phase, code] = [this.#random.pick(PHASES), this.#random.pick(CODES)];
    return { ...state, phase, code, holder: this.#random.pick([null, 'nobody']) };
  }

  #row(row: CopyRecord): readonly CopyRecord[] {
    if (!this.#now()) return [row];
    if (this.#random.below(4) === 0) return [];
    const receipt = this.#random.pick([null, row.receipt, this.#receipt()]);
    const manifests = this.#manifests.length === 0 ? [] : [this.#random.pick(this.#manifests)];
    const manifest =
      row.manifest === null ? null : this.#random.pick([null, this.#bent(row.manifest), ...manifests]);
    return [{ ...this.#state(row), receipt, manifest }];
  }

  #member(member: Member): Member {
    return this.#now() ? { ...member, membership: this.#bent(member.membership) } : member;
  }

  async *#bogusOrders(orders: AsyncIterable<Order>): AsyncGenerator<Order> {
    for await (const order of orders) {
      this.#orders.push(order);
      if (this.#now()) {
        const older = this.#random.pick(this.#orders);
        yield older.kind === 'send' ? { ...older, order: this.#hex(32) as OrderId } : older;
      }
      yield order;
    }
  }

  async *#spoil(blocks: AsyncIterable<SealedBlock>): AsyncGenerator<SealedBlock> {
    for await (const block of blocks) {
      if (!this.#now()) yield block;
      else if (this.#random.below(2) === 0) yield { ...block, bytes: this.#bent(block.bytes) };
    }
  }
}

/** Takes all, keeps nothing, and says that everything is durable. */
async function* swallow(from: AsyncIterable<SealedBlock>): AsyncGenerator<readonly BlockId[]> {
  for await (const { id } of from) yield [id];
}
