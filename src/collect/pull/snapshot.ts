import type { SignedManifest } from '../../format/manifest.ts';
import { markSafe, oweCopy } from '../../ledger/copies.ts';
import { appendHistory } from '../../ledger/history.ts';
import type { Database } from '../../ledger/ledger.ts';
import { removeOffer } from '../../ledger/offers.ts';
import { addSnapshot } from '../../ledger/snapshots.ts';
import { LowtideError } from '../../model/errors.ts';
import type { DomainKeyId } from '../../model/ids.ts';
import { DAY_MS } from '../../model/time.ts';
import { closed, makeReceipt } from '../committing.ts';
import { isClosed, ownCopy } from '../own-copy.ts';
import { fetchBlocks, type Fetched } from './blocks.ts';
import { type Listed, openPulled } from './list.ts';
import type { PulledClient, PullWork } from './parts.ts';
import { ATTEMPTS } from './patience.ts';
import { isBaseHere } from '../reception.ts';

/** Whether anything had to be done for it. `stopped`: it goes on when the pull is started again. */
export type Pulled = 'here' | 'pulled' | 'stopped';

/**
 * Pulls one snapshot: its blocks by set difference, then this center's own closure check, and its own receipt. What came
 * before an interruption is not fetched again.
 * @throws LowtideError `block-unavailable`, `damaged-page`, `damaged-manifest`, `damaged-keyring`, `wrong-signature`: about
 *   this snapshot; what a source says that cannot be asked; what the disk says
 */
export async function pullSnapshot(work: PullWork, client: PulledClient, listed: Listed): Promise<Pulled> {
  const { parts } = work.collector;
  const own = await ownCopy(parts, parts.ledger.db, listed.id);
  if (own !== null && isClosed(parts, own.phase)) {
    await parts.ledger.transaction((db) => keepReceipts(work, db, listed));
    return 'here';
  }
  work.note({ snapshots: 1 });
  const signed = await fetchManifest(client, listed);
  const { client: owner, keyring } = signed.manifest;
  await parts.depot.keyring(owner, keyring).catch(() => {
    const message = `the keyring of snapshot ${listed.sequence} of ${signed.manifest.job} is not there`;
    throw new LowtideError('damaged-keyring', message);
  });
  await parts.depot.pin(signed.id, signed.manifest.refs);
  const come = await fetchClosure(work, listed, signed);
  if (come === null) return 'stopped';
  await closeSnapshot(work, listed, signed, come);
  return 'pulled';
}

async function fetchManifest(client: PulledClient, { id, sources }: Listed): Promise<SignedManifest> {
  for (const { api } of sources) {
    const { rows } = await api.copies({ snapshots: [id], manifests: true });
    const manifest = rows.find((row) => row.snapshot === id && row.manifest !== null)?.manifest ?? null;
    if (manifest !== null) return openPulled(client, id, manifest);
  }
  throw new LowtideError('no-such-snapshot', 'its manifest is not there any more');
}

interface Come {
  readonly blocks: number;
  readonly bytes: number;
}

/** What it took to have everything; null if the pull was stopped first. */
async function fetchClosure(work: PullWork, listed: Listed, signed: SignedManifest): Promise<Come | null> {
  const { world } = work.collector.parts;
  const domains = await domainsOf(work, signed);
  const come = { blocks: 0, bytes: 0 };
  let wait = world.limits.retry_ms_min;
  for (let attempt = 1; ;) {
    if (!(await untilOpen(work))) return null;
    const missing = await missingHere(work, signed, domains);
    if (missing.length === 0) return come;
    const wanted = { scope: signed.id, sources: listed.sources, domains, ids: missing };
    const fetched = await fetchBlocks(work, wanted);
    come.blocks += fetched.blocks;
    come.bytes += fetched.bytes;
    if (work.stop.aborted) return null;
    // Nothing came because the hours were over: there will be others.
    if (fetched.blocks > 0 || work.budget.closedUntil() !== null) {
      attempt = 1;
      wait = world.limits.retry_ms_min;
      continue;
    }
    if (fetched.trouble === null) throw unavailable(listed, missing.length, fetched);
    if (attempt++ === ATTEMPTS) throw fetched.trouble;
    await world.clock.sleep(wait, work.stop);
    wait = Math.min(2 * wait, world.limits.retry_ms_max);
  }
}

function unavailable({ sources }: Listed, count: number, { refused }: Fetched): LowtideError {
  const names = sources.map(({ face }) => face.name).join(' and ');
  const what = count === 1 ? 'a block that is missing here' : `${count} blocks that are missing here`;
  const why = refused.length === 0 ? '' : ` (${refused.join('; ')})`;
  return new LowtideError('block-unavailable', `${names} cannot give ${what}${why}`);
}

/** Waits while the pull's hours are over. False if it was stopped. */
async function untilOpen({ budget, stop, note, collector }: PullWork): Promise<boolean> {
  const { clock } = collector.parts.world;
  for (let until = budget.closedUntil(); until !== null && !stop.aborted; until = budget.closedUntil()) {
    note({ phase: 'closed', until });
    await clock.sleep(Math.min(until - clock.now(), DAY_MS), stop);
  }
  note({ phase: 'blocks', until: null });
  return !stop.aborted;
}

async function domainsOf({ collector }: PullWork, { manifest }: SignedManifest): Promise<Set<DomainKeyId>> {
  const domains = new Set<DomainKeyId>();
  for (const { keyring } of await collector.parts.depot.keyrings(manifest.client))
    for (const { domain } of keyring.epochs) domains.add(domain);
  return domains;
}

/** Where the base is here, what it vouches for need not be looked for; where not, everything is. */
async function missingHere(
  { collector: { parts } }: PullWork,
  signed: SignedManifest,
  domains: ReadonlySet<DomainKeyId>,
): Promise<readonly Parameters<typeof parts.depot.readOne>[0][]> {
  const { base } = signed.manifest;
  const vouching = base !== null && (await isBaseHere(parts, base)) ? await parts.depot.manifest(base) : null;
  return (await parts.depot.closure(signed, { base: vouching, domains })).missing;
}

/** As a commit does, in the same order: manifest, then receipt; one receipt for ever. */
async function closeSnapshot(
  work: PullWork,
  listed: Listed,
  signed: SignedManifest,
  come: Come,
): Promise<void> {
  const { parts } = work.collector;
  const { world, depot, ledger, center } = parts;
  const now = world.clock.now();
  await depot.putManifest(signed);
  await ledger.transaction(async (db) => {
    const facts = { newBytes: come.bytes, newBlocks: come.blocks, packGroup: null, knownAt: now };
    await addSnapshot(db, signed, facts);
    await oweCopy(db, signed.id, center.id, now);
    const copy = await ownCopy(parts, db, signed.id);
    if (copy?.phase === 'void')
      throw new LowtideError('wrong-state', 'its owner has withdrawn this snapshot here');
    const receipt = makeReceipt(parts, signed, now);
    if (await markSafe(db, { snapshot: signed.id, center: center.id, receipt, arrivedAt: now }, now)) {
      const details = { center: center.id, code: 'pulled' };
      await appendHistory(db, signed.id, 'arrived', now, { ...details, bytes: come.bytes });
      await appendHistory(db, signed.id, 'receipted', now, details);
    }
    await removeOffer(db, signed.id);
    await keepReceipts(work, db, listed);
  });
  await depot.unpin(signed.id);
  const { client } = signed.manifest;
  world.monitor.event({ kind: 'committed', client, snapshot: signed.id, bytes: come.bytes });
  await closed(work.collector, signed.id);
}

async function keepReceipts({ collector }: PullWork, db: Database, { id, receipts }: Listed): Promise<void> {
  const now = collector.parts.world.clock.now();
  for (const [center, { receipt, arrivedAt }] of receipts) {
    await oweCopy(db, id, center, now);
    await markSafe(db, { snapshot: id, center, receipt, arrivedAt }, now);
  }
}
