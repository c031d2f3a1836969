import { blocksNewIn, refsPageLoader } from '../depot/refs-pages.ts';
import type { SealedBlock } from '../format/block.ts';
import { setHops } from '../ledger/copies.ts';
import { findSnapshot } from '../ledger/snapshots.ts';
import type { SignedManifest } from '../format/manifest.ts';
import { pagesOf, type Ref } from '../format/refs.ts';
import { type ErrorCode, isLowtideError, LowtideError } from '../model/errors.ts';
import type { Order } from '../model/exchange.ts';
import { type BlockId, shortId, type SnapshotId } from '../model/ids.ts';
import { untilStopped } from '../model/stopping.ts';
import type { CenterApi } from '../protocol/center-api.ts';
import { type Pace, PacedBlocks } from '../protocol/pace.ts';
import { isOwnDamage, noteState, openCopies } from './copy-states.ts';
import type { UplinkWork } from './parts.ts';
import { storeCustody, storeReceipt } from './receipts.ts';

/** What a node above says of a block that is not what its id says: it was damaged in the depot here, or on the line. */
const NOT_AS_NAMED: readonly ErrorCode[] = ['hash-mismatch', 'damaged-block', 'newer-format', 'forbidden'];
/** How often a commit may name blocks that are missing before the order is given up. */
const COMMIT_ROUNDS = 5;

type SendOrder = Order & { kind: 'send' };

/** What carries out one order. */
interface Sending {
  readonly work: UplinkWork;
  readonly api: CenterApi;
  readonly order: SendOrder;
  readonly signed: SignedManifest;
  readonly base: SignedManifest | null;
  readonly stop: AbortSignal;
  /** The rate that was granted, which may change meanwhile. */
  readonly pace: Pace;
  bytes: number;
  /** Once something had to be sent. */
  pages: Promise<ReadonlySet<BlockId>> | null;
  /** Why the spool could not give a block. */
  damage: LowtideError | null;
  /** Which. */
  damaged: BlockId | null;
}

/**
 * Carries out one order (SEED 112, fig. 7): asks what the center lacks of refs(S) minus refs(base), sends that in order
 * of first use, commits, and stores the receipt. Resuming needs no offsets: what arrived before is not asked for again.
 * The caller has seen that it is owed there: a center has a right to that, and to nothing else; a relay, to what is owed to
 * where it leads.
 * @returns false if it cannot be sent from here: the spool has lost something of it, or it was freed on a relay's word
 * @throws LowtideError what the center says; `disk-failed`
 */
export async function sendSnapshot(
  work: UplinkWork,
  api: CenterApi,
  order: SendOrder,
  pace: Pace,
  stop: AbortSignal,
): Promise<boolean> {
  if (!(await isHere(work, order.snapshot))) return false;
  const sending = await openSending(work, api, order, pace, stop);
  if (sending === null) return false;
  try {
    await sendAll(sending);
    return true;
  } catch (error) {
    if (sending.damage === null && !isLowtideError(error)) throw error;
    const { snapshot } = order;
    if (sending.damage !== null && isOwnDamage(sending.damage.code)) {
      await requireHere(work, snapshot);
      const { code, message: why } = sending.damage;
      const block = sending.damaged === null ? {} : { block: sending.damaged };
      await work.sender.lost(snapshot, { centers: work.centers, code, why, ...block });
      return false;
    }
    if (!isLowtideError(error, 'base-unknown')) throw error;
    const since = work.world.clock.now();
    const behind = { phase: 'behind', code: 'base-unknown', until: null, since, holder: null } as const;
    for (const { center } of await openCopies(work, snapshot)) {
      await noteState(work, { snapshot, center, ...behind });
    }
    return true;
  }
}

async function isHere({ ledger }: UplinkWork, snapshot: SnapshotId): Promise<boolean> {
  return ((await findSnapshot(ledger.db, snapshot))?.pack_group ?? null) !== null;
}

/** What was freed on the word of a relay while it was being sent another way is not lost: that relay sends it. */
async function requireHere(work: UplinkWork, snapshot: SnapshotId): Promise<void> {
  if (await isHere(work, snapshot)) return;
  const message = `snapshot ${shortId(snapshot)} is not here any more: a relay has it in custody`;
  throw new LowtideError('order-ended', message);
}

/** Null if the spool has lost the manifests. */
async function openSending(
  work: UplinkWork,
  api: CenterApi,
  order: SendOrder,
  pace: Pace,
  stop: AbortSignal,
): Promise<Sending | null> {
  const { depot } = work;
  try {
    const signed = await depot.manifest(order.snapshot);
    const { base } = signed.manifest;
    const baseManifest = base === null ? null : await depot.manifest(base);
    return {
      work,
      api,
      order,
      signed,
      base: baseManifest,
      stop,
      pace,
      bytes: 0,
      pages: null,
      damage: null,
      damaged: null,
    };
  } catch (error) {
    if (!isLowtideError(error, 'damaged-manifest', 'no-such-snapshot')) throw error;
    const loss = { centers: work.centers, code: 'damaged-manifest', why: error.message } as const;
    await work.sender.lost(order.snapshot, loss);
    return null;
  }
}

async function sendAll(sending: Sending): Promise<void> {
  const { work, order, stop } = sending;
  for await (const ids of ownIds(sending)) {
    if (stop.aborted) return;
    await sendMissing(sending, ids);
  }
  if (stop.aborted) return;
  const { snapshot } = order;
  const { bytes } = sending;
  work.world.monitor.event({ kind: 'sent', snapshot, center: work.upstream.id, order: order.order, bytes });
  await commit(sending);
}

async function commit(sending: Sending): Promise<void> {
  const { api, order, stop } = sending;
  for (let round = 0; round < COMMIT_ROUNDS && !stop.aborted; round++) {
    const answer = await api.commit(order.order);
    if (answer.kind === 'receipt') return await store(sending, answer.receipt);
    await requireOwn(sending, answer.missing);
    await sendMissing(sending, answer.missing);
  }
  if (stop.aborted) return;
  throw new LowtideError(
    'bad-answer',
    `it keeps missing blocks of snapshot ${shortId(order.snapshot)} that it has acknowledged`,
  );
}

async function store({ work, api, order }: Sending, receipt: Uint8Array): Promise<void> {
  const { snapshot } = order;
  work.doubted.delete(snapshot);
  if (work.node !== null) await askHops(work, api, snapshot);
  if (work.upstream.kind === 'center') {
    await storeReceipt(work, snapshot, work.upstream, receipt);
    // Here nobody waits for them, and they will never be told again.
    if (work.node === null) await askHops(work, api, snapshot);
    return;
  }
  if (!(await storeCustody(work, snapshot, receipt))) return;
  const { upstream, world } = work;
  const since = world.clock.now();
  for (const { center, code } of await openCopies(work, snapshot)) {
    // It has it, and said when that was offered that it does not lead there.
    if (code === 'no-route') continue;
    const held = { phase: 'held', code: '', until: null, since, holder: upstream.name } as const;
    await noteState(work, { snapshot, center, ...held });
  }
}

/** How it came there. Those below a relay hear of it with the receipt, and never ask again. The receipt counts without. */
async function askHops(work: UplinkWork, api: CenterApi, snapshot: SnapshotId): Promise<void> {
  try {
    for (const record of (await api.copies({ snapshots: [snapshot] })).rows) {
      if (record.hops.length > 0) await setHops(work.ledger.db, record, record.hops);
    }
  } catch (error) {
    if (!isLowtideError(error)) throw error;
  }
}

async function sendMissing(sending: Sending, ids: readonly BlockId[]): Promise<void> {
  const { api, order, stop } = sending;
  const missing = await api.missing(order.order, ids);
  const asked = new Set(ids);
  if (!missing.every((id) => asked.has(id))) {
    throw new LowtideError('bad-answer', 'it lacks blocks that it was not asked for');
  }
  if (missing.length === 0) return;
  const awaited = new Set(missing);
  const blocks = new PacedBlocks(blocksToSend(sending, missing), sending.pace, stop);
  try {
    for await (const durable of untilStopped(api.blocks(order.order, blocks), stop)) {
      for (const id of durable) awaited.delete(id);
    }
  } catch (error) {
    if (isLowtideError(error, ...NOT_AS_NAMED)) doubt(sending);
    throw error;
  }
  // The order's end may be heard of before the answer says why.
  if (stop.aborted && NOT_AS_NAMED.includes(stop.reason)) doubt(sending);
  if (awaited.size > 0 && !stop.aborted) {
    throw new LowtideError('order-ended', 'only a part of what was sent was taken: go on in the next order');
  }
}

/** In the next order its blocks are hashed here first: one that was damaged here is found then. */
function doubt({ work, order }: Sending): void {
  work.doubted.add(order.snapshot);
}

/**
 * Blocks go out unhashed: whoever they go to hashes them, and must, before he acknowledges any. One that the own spool cannot
 * give ends the stream.
 */
async function* blocksToSend(sending: Sending, ids: readonly BlockId[]): AsyncGenerator<SealedBlock> {
  const { work, order, stop } = sending;
  const { depot } = work;
  sending.pages ??= pagesOfRefs(sending);
  const pages = await sending.pages;
  for (const some of [ids.filter((id) => pages.has(id)), ids.filter((id) => !pages.has(id))]) {
    const reads = work.doubted.has(order.snapshot) ? depot.read(some, stop) : depot.readUnchecked(some, stop);
    for await (const read of reads) {
      if ('error' in read) {
        sending.damage = read.error;
        sending.damaged = read.id;
        throw read.error;
      }
      sending.bytes += read.bytes.length;
      yield read;
    }
  }
}

/**
 * The pages of refs, which go first: a relay that needs room tells by them what of a transfer that has not ended is in use
 * (protocol R33). Those that cannot be found here cannot be sent either.
 */
async function pagesOfRefs({ work, signed }: Sending): Promise<ReadonlySet<BlockId>> {
  const { depot, world } = work;
  const pages = new Set<BlockId>();
  try {
    for await (const page of pagesOf(signed.manifest.refs, refsPageLoader(depot, world.limits)))
      pages.add(page);
  } catch (error) {
    if (!isLowtideError(error)) throw error;
  }
  return pages;
}

/**
 * Refs(S) minus refs(base), as many ids at once as one message holds. A base whose refs are damaged here only spares
 * questions: what they do not tell is asked about, and is not sent if it is above. To have S anew would not mend them.
 */
async function* ownIds(sending: Sending): AsyncGenerator<BlockId[]> {
  const { work, signed, base } = sending;
  const { depot, world } = work;
  try {
    yield* inMessages(sending, blocksNewIn(depot, world.limits, signed, base));
  } catch (error) {
    if (!isLowtideError(error)) throw error;
    if (base === null || !isOwnDamage(error.code)) {
      sending.damage = error;
      throw error;
    }
    yield* inMessages(sending, depot.refsBeyond(signed, base));
  }
}

async function* inMessages({ work }: Sending, all: AsyncIterable<readonly Ref[]>): AsyncGenerator<BlockId[]> {
  const { ids_per_message: most } = work.world.limits;
  let batch: BlockId[] = [];
  for await (const refs of all) {
    for (const { id } of refs) {
      batch.push(id);
      if (batch.length < most) continue;
      yield batch;
      batch = [];
    }
  }
  if (batch.length > 0) yield batch;
}

/** A center may ask for what the snapshot adds to its base, not for whatever else is in the spool. */
async function requireOwn(sending: Sending, ids: readonly BlockId[]): Promise<void> {
  const foreign = new Set(ids);
  for await (const own of ownIds(sending)) {
    for (const id of own) foreign.delete(id);
    if (foreign.size === 0) return;
  }
  if (foreign.size > 0) throw new LowtideError('bad-answer', 'it lacks blocks that are not of this snapshot');
}
