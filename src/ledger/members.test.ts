import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { keyOf, newLedger } from '../../test/support/ledger-kit.ts';
import { signMembership } from '../format/membership.ts';
import { centerIdOf, clientIdOf } from '../format/signing.ts';
import type { Member } from '../model/exchange.ts';
import { isLowtideError } from '../model/errors.ts';
import type { CenterId, ClientId } from '../model/ids.ts';
import { findClient, putClient } from './clients.ts';
import type { Ledger } from './ledger.ts';
import { enrollMembers, listMembers, sendersFor, speaksFor } from './members.ts';
import { MEMBERS_MAX, membersTold, setMembersMax } from './quotas.ts';
import type { ClientRow } from './tables.ts';

const nodeOf = (name: string): CenterId => centerIdOf(keyOf(`node ${name}`).publicKey);
const idOf = (name: string) => clientIdOf(keyOf(name).publicKey);

/** What `name` signs when it joins `joined`; with a node id of its own if it is a relay. */
function wordOf(name: string, joined: CenterId, node: CenterId | null = null, signer = name): Member {
  const { publicKey: instanceKey } = keyOf(name);
  const word = { client: idOf(name), instanceKey, joined, node, at: 5 };
  return { name, membership: signMembership(word, keyOf(signer)) };
}

async function clientHere(ledger: Ledger, name: string, node: CenterId | null): Promise<ClientRow> {
  const role = node === null ? 'agent' : 'relay';
  const key = { instance_key: keyOf(name).publicKey, pass: 'aa', enrolled_at: 1 };
  await putClient(ledger.db, { id: idOf(name), name, role, node, ...key });
  return (await findClient(ledger.db, idOf(name)))!;
}

describe('the subtree of a relay', () => {
  let ledger: Ledger;
  let kobe: ClientRow;
  const enroll = (relay: ClientRow, ...members: Member[]): Promise<boolean> =>
    ledger.transaction((db) => enrollMembers(db, relay, members, 9));

  beforeEach(async () => {
    ledger = await newLedger();
    kobe = await clientHere(ledger, 'kobe', nodeOf('kobe'));
  });

  it('may use names that others have: each gets one of its own, whatever names were taken before', async () => {
    const { db } = ledger;
    const [ann, other] = [idOf('ann'), idOf('other')];
    const named = (name: string, who: string): Member => ({ ...wordOf(who, nodeOf('kobe')), name });
    await clientHere(ledger, 'desk', null);
    await enroll(
      kobe,
      named(`desk-${ann.slice(0, 8)}`, 'squatter'),
      named(`desk-${ann.slice(0, 9)}`, 'second'),
    );
    await enroll(kobe, named('desk', 'ann'), named('desk', 'other'));
    assert.equal((await findClient(db, ann))!.name, `desk-${ann.slice(0, 10)}`);
    assert.equal((await findClient(db, other))!.name, `desk-${other.slice(0, 8)}`);
    for (let digits = 8; digits <= ann.length; digits++)
      await clientHere(ledger, `pub-${ann.slice(0, digits)}`, null);
    await clientHere(ledger, 'pub', null);
    await db.deleteFrom('clients').where('id', '=', ann).execute();
    await enroll(kobe, named('pub', 'ann'));
    assert.equal((await findClient(db, ann))!.name, `pub-${ann}-1`);
  });

  it('is of ten thousand machines at most, each as often as it has joined, unless somebody said otherwise', async () => {
    const { db } = ledger;
    const rows = Array.from({ length: MEMBERS_MAX - 1 }, (_, at) => ({
      client: at.toString(16).padStart(32, '0') as ClientId,
      joined: kobe.node!,
      via: kobe.id,
      name: `machine ${at}`,
      node: null,
      membership: new Uint8Array(),
    }));
    for (let at = 0; at < rows.length; at += 1000)
      await db
        .insertInto('members')
        .values(rows.slice(at, at + 1000))
        .execute();
    await enroll(kobe, wordOf('ann', nodeOf('kobe')));
    const full = (error: unknown): boolean => isLowtideError(error, 'members-full');
    await assert.rejects(enroll(kobe, wordOf('ben', nodeOf('kobe'))), full);
    assert.equal(await findClient(db, idOf('ben')), null, 'nothing of the request counts');
    await setMembersMax(db, kobe.id, MEMBERS_MAX + 1);
    await enroll((await findClient(db, kobe.id))!, wordOf('ben', nodeOf('kobe')));
    const shop = await clientHere(ledger, 'shop', nodeOf('shop'));
    await enroll(shop, wordOf('cid', nodeOf('shop')));
    assert.equal(await membersTold(db, shop.id), 1, 'others have their own');
  });

  it('is what has joined it, and what has joined relays in it, in whatever order they are told', async () => {
    await enroll(kobe, wordOf('ann', nodeOf('shop')), wordOf('shop', nodeOf('kobe'), nodeOf('shop')));
    await enroll(kobe, wordOf('ben', nodeOf('shop')), wordOf('cid', nodeOf('kobe')));
    for (const name of ['ann', 'ben', 'cid', 'shop', 'kobe']) {
      assert.equal(await speaksFor(ledger.db, kobe.id, idOf(name)), true, name);
    }
    assert.equal(await speaksFor(ledger.db, kobe.id, idOf('dan')), false);
    assert.equal(await speaksFor(ledger.db, idOf('shop'), idOf('ann')), false);
    assert.deepEqual(new Set(await sendersFor(ledger.db, idOf('ann'))), new Set([idOf('ann'), kobe.id]));
  });

  it('is told as often as it likes, and gives nobody a pass', async () => {
    for (let count = 0; count < 2; count++) await enroll(kobe, wordOf('ann', nodeOf('kobe')));
    assert.equal((await listMembers(ledger.db)).length, 1);
    const ann = await findClient(ledger.db, idOf('ann'));
    assert.deepEqual([ann?.pass, ann?.role, ann?.name], ['', 'agent', 'ann']);
  });

  it('is news once, and again under another name; a relay always is', async () => {
    const [ann, bob] = [wordOf('ann', nodeOf('kobe')), wordOf('bob', nodeOf('kobe'))];
    assert.equal(await enroll(kobe, ann), true);
    assert.equal(await enroll(kobe, ann), false);
    assert.equal(await enroll(kobe, ann, bob), true);
    assert.equal(await enroll(kobe, { ...ann, name: 'anna' }), true);
    const nara = wordOf('nara', nodeOf('kobe'), nodeOf('nara'));
    assert.equal(await enroll(kobe, nara), true);
    assert.equal(await enroll(kobe, nara), true, 'it may be one of those above by now');
  });

  it('is not what has joined elsewhere: then nothing of the list counts', async () => {
    const list = [wordOf('ann', nodeOf('kobe')), wordOf('ben', nodeOf('tokyo'))];
    await assert.rejects(enroll(kobe, ...list), { code: 'forbidden' });
    assert.deepEqual(await listMembers(ledger.db), []);
  });

  it('is not what a relay above it, or beside it, has been told', async () => {
    const kyoto = await clientHere(ledger, 'kyoto', nodeOf('kyoto'));
    await enroll(kyoto, wordOf('ann', nodeOf('kyoto')));
    assert.equal(await speaksFor(ledger.db, kobe.id, idOf('ann')), false);
    await assert.rejects(enroll(kobe, wordOf('ann', nodeOf('kyoto'))), { code: 'forbidden' });
  });

  it('counts only what its machines have signed themselves', async () => {
    await assert.rejects(enroll(kobe, wordOf('ann', nodeOf('kobe'), null, 'kobe')), {
      code: 'wrong-signature',
    });
    const stolen = wordOf('ann', nodeOf('kobe'));
    const changed = {
      ...stolen,
      membership: Uint8Array.from(stolen.membership, (byte, at) => byte ^ (at === 90 ? 1 : 0)),
    };
    await assert.rejects(enroll(kobe, changed));
    assert.deepEqual(await listMembers(ledger.db), []);
  });

  it('is only a relay that has one', async () => {
    const ann = await clientHere(ledger, 'ann', null);
    await assert.rejects(enroll(ann, wordOf('ben', nodeOf('kobe'))), { code: 'forbidden' });
  });

  it('keeps machines of one name apart, and one that is known here by its own name stays what it is', async () => {
    const direct = await clientHere(ledger, 'till', null);
    const other = { ...wordOf('other till', nodeOf('kobe')), name: 'till' };
    await enroll(kobe, other, { ...wordOf('till', nodeOf('kobe')), name: 'renamed' });
    assert.equal(
      (await findClient(ledger.db, idOf('other till')))?.name,
      `till-${idOf('other till').slice(0, 8)}`,
    );
    assert.deepEqual(await findClient(ledger.db, direct.id), direct);
  });
});
