import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { keyOf, newLedger } from '../../test/support/ledger-kit.ts';
import { signLeaving, signMembership } from '../format/membership.ts';
import { centerIdOf, clientIdOf } from '../format/signing.ts';
import { isLowtideError } from '../model/errors.ts';
import type { Member } from '../model/exchange.ts';
import type { CenterId } from '../model/ids.ts';
import { findClient, putClient } from './clients.ts';
import { leavingsBelow, listLeavings, takeLeavings } from './leavings.ts';
import type { Ledger } from './ledger.ts';
import { liveMembers } from './live-members.ts';
import { enrollMembers, listMembers, membersToTell, speaksFor } from './members.ts';
import { MEMBERS_MAX, membersTold, setMembersMax } from './quotas.ts';
import type { ClientRow } from './tables.ts';

const nodeOf = (name: string): CenterId => centerIdOf(keyOf(`node ${name}`).publicKey);
const idOf = (name: string) => clientIdOf(keyOf(name).publicKey);
const own = (name: string) => ({ client: idOf(name), instanceKey: keyOf(name).publicKey });
const yes = async (): Promise<boolean> => true;

function joined(name: string, at: number, where = 'kobe', node: CenterId | null = null): Member {
  const word = { ...own(name), joined: nodeOf(where), node, at };
  return { name, membership: signMembership(word, keyOf(name)) };
}

const left = (name: string, at: number, where = 'kobe', signer = name): Uint8Array =>
  signLeaving({ ...own(name), left: nodeOf(where), at }, keyOf(signer));

describe('words of leaving (format F62)', () => {
  let ledger: Ledger;
  let kobe: ClientRow;
  const tell = async (...members: Member[]): Promise<void> => {
    await ledger.transaction((db) => enrollMembers(db, kobe, members, 9));
  };
  const take = (...words: Uint8Array[]) => ledger.transaction((db) => takeLeavings(db, words, yes));
  const live = async (): Promise<string[]> =>
    [...liveMembers(await listMembers(ledger.db))].map(({ name }) => name).sort();

  beforeEach(async () => {
    ledger = await newLedger();
    const key = { instance_key: keyOf('kobe').publicKey, pass: 'aa', enrolled_at: 1 };
    await putClient(ledger.db, {
      id: idOf('kobe'),
      name: 'kobe',
      role: 'relay',
      node: nodeOf('kobe'),
      ...key,
    });
    kobe = (await findClient(ledger.db, idOf('kobe')))!;
  });

  it('F62: the newer of two words counts, whichever comes first; of one moment the leaving does', async () => {
    const words = { joined: [3, 5, 7], left: [4, 5, 6] };
    for (const at of words.joined) {
      for (const gone of words.left) {
        const name = `m${at}-${gone}`;
        await tell(joined(name, at));
        await take(left(name, gone));
        const other = `n${at}-${gone}`;
        await take(left(other, gone));
        await tell(joined(other, at));
        const seen = await live();
        assert.deepEqual(
          [seen.includes(name), seen.includes(other)],
          [at > gone, at > gone],
          `${at}, ${gone}`,
        );
      }
    }
  });

  it('P4: replayed words of before change nothing', async () => {
    await tell(joined('ann', 3));
    await take(left('ann', 4));
    await tell(joined('ann', 3));
    assert.deepEqual(await live(), []);
    await tell(joined('ann', 5));
    assert.deepEqual(await take(left('ann', 4)), { news: false, ended: [] });
    assert.deepEqual(await live(), ['ann']);
    await take(left('ann', 6));
    await tell(joined('ann', 3), joined('ann', 5));
    await take(left('ann', 4));
    assert.deepEqual(await live(), []);
    assert.equal((await listLeavings(ledger.db))[0]?.at, 6);
  });

  it('P4: forged, or of another kind, they are refused, and with them all that came along', async () => {
    await tell(joined('ann', 3), joined('ben', 3));
    const { membership } = joined('ann', 9);
    for (const lie of [left('ann', 4, 'kobe', 'ben'), membership, Uint8Array.of(1)]) {
      await assert.rejects(take(left('ben', 4), lie), (error: unknown) =>
        isLowtideError(error, 'wrong-signature', 'bad-request'),
      );
    }
    assert.deepEqual(await live(), ['ann', 'ben']);
  });

  it('take no right from the relay that was left, which has them from above if it does not know', async () => {
    await tell(joined('ann', 3), joined('ben', 3));
    const word = left('ann', 4);
    const { news, ended } = await take(word, left('cid', 4));
    assert.equal(news, true);
    assert.deepEqual(
      ended.map(({ name, via }) => [name, via]),
      [['ann', kobe.id]],
    );
    assert.equal(await speaksFor(ledger.db, kobe.id, idOf('ann')), true);
    const shown = await leavingsBelow(ledger.db, kobe.id, [
      joined('ann', 3),
      joined('ben', 3),
      joined('cid', 3),
    ]);
    assert.deepEqual(
      shown.map((bytes) => Buffer.from(bytes)),
      [Buffer.from(word)],
    );
    assert.deepEqual(
      (await membersToTell(ledger.db)).map(({ name }) => name),
      ['ben'],
      'nothing of ann is kept here',
    );
  });

  it('are kept up to a bound for each machine; what they ended stays ended', async () => {
    await tell(joined('ann', 3));
    await take(left('ann', 4));
    for (let at = 5; at < 40; at++) await take(left('ann', at, `node ${at}`));
    const kept = await listLeavings(ledger.db);
    assert.equal(kept.length, 16);
    assert.equal(
      kept.some(({ node }) => node === nodeOf('kobe')),
      false,
    );
    await tell(joined('ann', 3));
    assert.deepEqual(await live(), []);
  });

  it('make room for others of the same relay', async () => {
    await setMembersMax(ledger.db, kobe.id, 2);
    kobe = (await findClient(ledger.db, kobe.id))!;
    await tell(joined('ann', 3), joined('ben', 3));
    await assert.rejects(tell(joined('cid', 3)), (error: unknown) => isLowtideError(error, 'members-full'));
    await take(left('ann', 4));
    await tell(joined('cid', 3));
    assert.equal(await membersTold(ledger.db, kobe.id), 2);
    // As if it had told of more than any relay may, and all of these had left.
    const rows = Array.from({ length: MEMBERS_MAX }, (_, at) => ({
      client: at.toString(16).padStart(32, '0') as ClientRow['id'],
      joined: nodeOf('kobe'),
      via: kobe.id,
      name: `m${at}`,
      membership: new Uint8Array(1),
      left_at: 5,
    }));
    while (rows.length > 0) await ledger.db.insertInto('members').values(rows.splice(0, 1000)).execute();
    assert.equal(await membersTold(ledger.db, kobe.id), 3, 'one more than need not count');
  });

  it('of a relay cut off what is below it, and what joined it again comes again', async () => {
    await tell(joined('shop', 3, 'kobe', nodeOf('shop')), joined('ann', 3, 'shop'), joined('ben', 3));
    assert.deepEqual(await live(), ['ann', 'ben', 'shop']);
    await take(left('shop', 4));
    assert.deepEqual(await live(), ['ben']);
    await tell(joined('shop', 5, 'kobe', nodeOf('shop')));
    assert.deepEqual(await live(), ['ann', 'ben', 'shop']);
  });
});
