import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  addRow,
  ANNS_CLIENT,
  ANNS_INSTANCE,
  keyOf,
  manifestOf,
  newLedger,
  OSLO,
  ROME,
} from '../../test/support/ledger-kit.ts';
import { clientIdOf } from '../format/signing.ts';
import { isLowtideError } from '../model/errors.ts';
import type { SnapshotId } from '../model/ids.ts';
import {
  addSnapshot,
  chainEnd,
  drainable,
  findFork,
  findSnapshot,
  listSnapshots,
  resolveSnapshot,
  setPackGroup,
  spooledSnapshots,
} from './snapshots.ts';
import { owedTo } from './owed.ts';
import type { SnapshotRow } from './tables.ts';

const idsOf = (rows: readonly SnapshotRow[]): SnapshotId[] => rows.map(({ id }) => id);
const spooled = (group: string) => ({ facts: { packGroup: group } });
const BEN = keyOf('ben');

describe('snapshots', () => {
  it('are put once: a second time changes nothing', async () => {
    const ledger = await newLedger();
    const signed = manifestOf({ sequence: 7 });
    const facts = { newBytes: 5, newBlocks: 2, packGroup: 'run-1', knownAt: 10 };
    const travel = { transfer: '00:00-03:00', zone: 'Asia/Tokyo' };
    await addSnapshot(ledger.db, signed, { ...facts, travel });
    await addSnapshot(ledger.db, signed, { ...facts, newBytes: 99, packGroup: null });
    const row = await findSnapshot(ledger.db, signed.id);
    assert.deepEqual(
      [row?.new_bytes, row?.pack_group, row?.sequence, row?.transfer, row?.label],
      [5, 'run-1', 7, '00:00-03:00', '/home/ann /srv'],
    );
    assert.equal(await findSnapshot(ledger.db, 'ab'.repeat(32) as SnapshotId), null);
  });

  it('of a private job have the name and the paths that their owner knows, and the chain that others see', async () => {
    const ledger = await newLedger();
    const id = await addRow(ledger, {
      job: 'private-0123',
      labels: {},
      facts: { job: 'diary', label: '/home/ann/diary' },
    });
    const row = await findSnapshot(ledger.db, id);
    assert.deepEqual([row?.job, row?.chain, row?.label], ['diary', 'private-0123', '/home/ann/diary']);
    assert.equal((await chainEnd(ledger.db, ANNS_INSTANCE, 'diary'))?.id, id);
  });

  it('are listed newest first, by client and job, and the rest from where a list ended', async () => {
    const ledger = await newLedger();
    const ids: SnapshotId[] = [];
    for (let sequence = 1; sequence <= 7; sequence++) {
      ids.push(await addRow(ledger, { sequence, takenAt: 1000 * Math.ceil(sequence / 2) }));
    }
    await addRow(ledger, { key: BEN, takenAt: 9000 });
    await addRow(ledger, { job: 'other', takenAt: 9000 });
    const all = await listSnapshots(ledger.db, { client: ANNS_CLIENT, job: 'home' });
    assert.deepEqual(new Set(idsOf(all)), new Set(ids));
    assert.deepEqual(
      all.map(({ taken_at }) => taken_at),
      [4000, 3000, 3000, 2000, 2000, 1000, 1000],
    );
    const paged: SnapshotRow[] = [];
    for (let more = true; more;) {
      const last = paged.at(-1);
      const page = await listSnapshots(ledger.db, {
        client: ANNS_CLIENT,
        job: 'home',
        limit: 2,
        ...(last && { before: { takenAt: last.taken_at, id: last.id } }),
      });
      paged.push(...page);
      more = page.length === 2;
    }
    assert.deepEqual(idsOf(paged), idsOf(all));
  });
});

describe('resolveSnapshot', () => {
  it('takes a unique beginning, and says when it is none or not enough', async () => {
    const ledger = await newLedger();
    const ids: string[] = [];
    for (let sequence = 1; sequence <= 40; sequence++) ids.push(await addRow(ledger, { sequence }));
    const [id] = ids;
    assert.equal((await resolveSnapshot(ledger.db, id!)).id, id);
    const digit = ids.map((each) => each[0]!).find((each, at, all) => all.indexOf(each) !== at)!;
    await assert.rejects(resolveSnapshot(ledger.db, digit), (error) =>
      isLowtideError(error, 'ambiguous-snapshot'),
    );
    for (let length = 64; length > 0; length--) {
      const prefix = id!.slice(0, length);
      if (ids.filter((each) => each.startsWith(prefix)).length > 1) break;
      assert.equal((await resolveSnapshot(ledger.db, prefix)).id, id);
    }
    for (const nothing of ['', 'xyz', `${id}0`, id!.toUpperCase(), '%', "' OR 1=1", '0g']) {
      await assert.rejects(
        resolveSnapshot(ledger.db, nothing),
        (error) => isLowtideError(error, 'no-such-snapshot'),
        nothing,
      );
    }
  });

  it('looks among the snapshots of one client only, if one is given', async () => {
    const ledger = await newLedger();
    const anns = await addRow(ledger, {});
    const bens = await addRow(ledger, { key: BEN });
    const ben = clientIdOf(BEN.publicKey);
    assert.equal((await resolveSnapshot(ledger.db, bens, ben)).id, bens);
    await assert.rejects(resolveSnapshot(ledger.db, anns, ben), (error) =>
      isLowtideError(error, 'no-such-snapshot'),
    );
  });

  it('takes for latest what came last, whatever a clock said', async () => {
    const ledger = await newLedger();
    await assert.rejects(resolveSnapshot(ledger.db, 'latest'), (error) =>
      isLowtideError(error, 'no-such-snapshot'),
    );
    await addRow(ledger, { sequence: 1, takenAt: Date.UTC(2036, 0) });
    const last = await addRow(ledger, { sequence: 2, takenAt: Date.UTC(2026, 0) });
    assert.equal((await resolveSnapshot(ledger.db, 'latest')).id, last);
    const bens = await addRow(ledger, { key: BEN });
    assert.equal((await resolveSnapshot(ledger.db, 'latest')).id, bens);
    assert.equal((await resolveSnapshot(ledger.db, 'latest', ANNS_CLIENT)).id, last);
  });
});

describe('chains', () => {
  it('end with the highest sequence, whatever a clock said', async () => {
    const ledger = await newLedger();
    assert.equal(await chainEnd(ledger.db, ANNS_INSTANCE, 'home'), null);
    await addRow(ledger, { sequence: 2, takenAt: 9000 });
    const end = await addRow(ledger, { sequence: 10, takenAt: 5000 });
    await addRow(ledger, { sequence: 9, takenAt: 99_000 });
    await addRow(ledger, { sequence: 11, job: 'other' });
    await addRow(ledger, { sequence: 12, key: BEN });
    assert.equal((await chainEnd(ledger.db, ANNS_INSTANCE, 'home'))?.id, end);
  });

  it('fork where two snapshots have one place', async () => {
    const ledger = await newLedger();
    const one = manifestOf({ sequence: 3 });
    const other = manifestOf({ sequence: 3, takenAt: 5 });
    await addRow(ledger, { sequence: 3 });
    assert.equal(await findFork(ledger.db, one), null);
    assert.equal((await findFork(ledger.db, other))?.id, one.id);
    assert.equal(await findFork(ledger.db, manifestOf({ sequence: 4 })), null);
    assert.equal(await findFork(ledger.db, manifestOf({ sequence: 3, job: 'other' })), null);
    assert.equal(await findFork(ledger.db, manifestOf({ sequence: 3, takenAt: 5 }, BEN)), null);
  });
});

describe('P1: drainable', () => {
  it('is what every center owed has receipted, or its owner has closed', async () => {
    const ledger = await newLedger();
    const rows = {
      both: await addRow(ledger, { sequence: 1, ...spooled('g1'), at: { [OSLO]: 'safe', [ROME]: 'safe' } }),
      mixed: await addRow(ledger, { sequence: 2, ...spooled('g2'), at: { [OSLO]: 'safe', [ROME]: 'void' } }),
      closed: await addRow(ledger, { sequence: 3, ...spooled('g3'), at: { [OSLO]: 'void' } }),
    };
    for (const phase of ['waiting', 'in-transit', 'held', 'behind', 'stuck'] as const) {
      const at = { [OSLO]: 'safe' as const, [ROME]: phase };
      await addRow(ledger, { job: phase, ...spooled(`g-${phase}`), at });
    }
    await addRow(ledger, { job: 'owed-to-nobody', ...spooled('g9') });
    await addRow(ledger, { job: 'freed', at: { [OSLO]: 'safe' } });
    assert.deepEqual(idsOf(await drainable(ledger.db)), Object.values(rows));
    assert.equal((await spooledSnapshots(ledger.db)).length, 9);
    await setPackGroup(ledger.db, rows.both, null);
    assert.deepEqual(idsOf(await drainable(ledger.db)), [rows.mixed, rows.closed]);
  });
});

describe('owedTo', () => {
  it('is what one center has not got and the spool still has, in the order in which it must commit', async () => {
    const ledger = await newLedger();
    const third = await addRow(ledger, { sequence: 3, ...spooled('g3'), at: { [OSLO]: 'waiting' } });
    const second = await addRow(ledger, { sequence: 2, ...spooled('g2'), at: { [OSLO]: 'behind' } });
    const first = await addRow(ledger, {
      job: 'a',
      ...spooled('g1'),
      at: { [OSLO]: 'stuck', [ROME]: 'safe' },
    });
    await addRow(ledger, { sequence: 4, ...spooled('g4'), at: { [OSLO]: 'safe', [ROME]: 'waiting' } });
    await addRow(ledger, { sequence: 5, ...spooled('g5'), at: { [OSLO]: 'void' } });
    await addRow(ledger, { sequence: 6, at: { [OSLO]: 'waiting' } });
    assert.deepEqual(idsOf(await owedTo(ledger.db, [OSLO])), [first, second, third]);
    assert.equal((await owedTo(ledger.db, [ROME])).length, 1);
  });
});
