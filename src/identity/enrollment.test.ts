import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { realWorld, type TestWorld } from '../../test/support/real-world.ts';
import { dropPass, findClient, setRevoked } from '../ledger/clients.ts';
import { takeLeavings } from '../ledger/leavings.ts';
import { Ledger } from '../ledger/ledger.ts';
import { listMembers } from '../ledger/members.ts';
import type { CenterId, ClientId } from '../model/ids.ts';
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../model/time.ts';
import { type Authority, createAuthority } from './authority.ts';
import { newKey } from './new-key.ts';
import { LIFETIME, parseCertificate, rawKeyHash, readClientCertificate } from './certificates.ts';
import { type ClientIdentity, createClientIdentity } from './client-identity.ts';
import { Enrollment } from './enrollment.ts';
import { acceptEnrollment, acceptRenewal, joinRequest, passNeedsRenewal, renewRequest } from './joining.ts';
import { proveJoin, proveRenew } from './proof.ts';
import { openMembership, signLeaving, signMembership } from '../format/membership.ts';
import { listTokens, removeToken } from './token-table.ts';
import { centerFace, type JoinToken, parseToken, type Role, secretHash } from './token.ts';

let world: TestWorld;
let ledger: Ledger;
let authority: Authority;
let center: Enrollment;
let machines = 0;

before(async () => {
  world = await realWorld();
  ledger = await Ledger.open(world, `${world.directory}/ledger`);
  authority = await createAuthority(world, `${world.directory}/identity`, { name: 'Tokyo', kind: 'center' });
  center = new Enrollment(world, ledger, authority);
});
after(async () => {
  await ledger.close();
  await world.dispose();
});

const machine = (): Promise<ClientIdentity> =>
  createClientIdentity(world, `${world.directory}/machine${machines++}`);

const tokenFor = async (name: string, lifetimeMs = HOUR_MS, role: Role = 'agent', at = center) => {
  const wish = { addresses: [{ host: 'localhost', port: 8420 }], name, role, lifetimeMs };
  return parseToken((await at.makeToken(wish)).text);
};

const asks = (identity: ClientIdentity, token: JoinToken, host: string, node: CenterId | null = null) =>
  joinRequest(identity, token, { host, node, at: world.clock.now() });

test('a token, a join and a certificate for the key that asked', async () => {
  const ann = await machine();
  const token = await tokenFor('ann-laptop');
  const answer = await center.redeem(asks(ann, token, 'host'));
  const joined = acceptEnrollment(ann, token, answer, authority.root.certificate, world.clock.now());
  assert.equal(joined.name, 'ann-laptop');
  assert.deepEqual(joined.face, authority.face);
  const pass = readClientCertificate(parseCertificate(joined.chain));
  assert.equal(pass.client, ann.client);
  assert.equal(await center.standing(ann.client, pass.keyHash), 'known');
  assert.equal(await center.standing(ann.client, 'ab'.repeat(32)), 'unknown');
  assert.equal(await center.standing('ab'.repeat(16) as ClientId, pass.keyHash), 'unknown');
  const enrolled = world.monitor.events.filter((event) => event.kind === 'enrolled');
  assert.deepEqual(enrolled, [{ kind: 'enrolled', client: ann.client, name: 'ann-laptop' }]);
});

test('a repeated request, for a lost answer, gets the same answer, and is not told twice', async () => {
  const bob = await machine();
  const token = await tokenFor('bob');
  const request = asks(bob, token, 'host');
  const first = await center.redeem(request);
  world.advance(MINUTE_MS);
  const told = world.monitor.events.length;
  assert.deepEqual(await center.redeem(request), first);
  assert.equal(world.monitor.events.length, told);
  world.advance(HOUR_MS);
  await assert.rejects(center.redeem(request), { code: 'token-expired' });
});

test('two machines with one token: exactly one gets in (faults 24)', async () => {
  const token = await tokenFor('');
  const twins = [await machine(), await machine()];
  const answers = await Promise.allSettled(
    twins.map((twin, at) => center.redeem(asks(twin, token, `twin-${at}`))),
  );
  assert.deepEqual(answers.map((answer) => answer.status).sort(), ['fulfilled', 'rejected']);
  const refused = answers.find((answer) => answer.status === 'rejected');
  assert.equal(refused?.reason.code, 'token-used');
});

test('expired, unknown, taken back, or of another center: each has its own code', async () => {
  const eve = await machine();
  const token = await tokenFor('eve');
  const request = asks(eve, token, 'host');
  await assert.rejects(center.redeem({ ...request, center: 'ab'.repeat(16) as typeof request.center }), {
    code: 'token-other-center',
  });
  const guess = { ...token, secret: new Uint8Array(32) };
  await assert.rejects(center.redeem(asks(eve, guess, 'host')), { code: 'token-bad' });
  await removeToken(ledger.db, secretHash(token.secret));
  await assert.rejects(center.redeem(request), { code: 'token-bad' });
  const short = await tokenFor('eve', MINUTE_MS);
  world.advance(MINUTE_MS);
  await assert.rejects(center.redeem(asks(eve, short, 'host')), { code: 'token-expired' });
  await assert.rejects(tokenFor('eve', 2 * DAY_MS), { code: 'bad-request' });
});

test('a token that was used stays on record, and nowhere is its secret', async () => {
  const token = await tokenFor('ida');
  await center.redeem(asks(await machine(), token, 'host'));
  await removeToken(ledger.db, secretHash(token.secret));
  const row = (await listTokens(ledger.db)).find(({ name }) => name === 'ida');
  assert.equal(row?.hash, secretHash(token.secret));
  const secret = Buffer.from(token.secret).toString('hex');
  assert.ok(!JSON.stringify(await listTokens(ledger.db)).includes(secret));
});

test('a request changed on its way, or for a client that the key does not name, is refused', async () => {
  const fay = await machine();
  const gus = await machine();
  const token = await tokenFor('fay');
  const request = asks(fay, token, 'host');
  const planted = { ...request, tlsKey: gus.tls.publicKey };
  await assert.rejects(center.redeem(planted), { code: 'wrong-signature' });
  const other = proveJoin({ ...request, client: gus.client }, fay.instance);
  await assert.rejects(center.redeem(other), { code: 'forbidden' });
  await center.redeem(request);
});

test('a name that another client has is refused, and the token stays good (faults 25)', async () => {
  await center.redeem(asks(await machine(), await tokenFor('hal'), 'host'));
  const second = await machine();
  await assert.rejects(center.redeem(asks(second, await tokenFor('hal'), 'host')), {
    code: 'client-exists',
  });
  const open = await tokenFor('');
  await assert.rejects(center.redeem(asks(second, open, 'hal')), { code: 'client-exists' });
  await assert.rejects(center.redeem(asks(second, open, 'a\u001b[2Jb')), { code: 'bad-name' });
  await assert.rejects(center.redeem(asks(second, open, 'x'.repeat(101))), { code: 'bad-name' });
  assert.equal((await center.redeem(asks(second, open, 'hal-two'))).name, 'hal-two');
  await assert.rejects(tokenFor('<b>'), { code: 'bad-name' });
});

test('the same machine joins again with a new token; its old pass is worth nothing then', async () => {
  const kim = await machine();
  await center.redeem(asks(kim, await tokenFor('kim'), 'host'));
  const renewed = { ...kim, tls: newKey(world) };
  await center.redeem(asks(renewed, await tokenFor('kim-two'), 'host'));
  assert.equal(await center.standing(kim.client, rawKeyHash(kim.tls.publicKey)), 'unknown');
  assert.equal(await center.standing(kim.client, rawKeyHash(renewed.tls.publicKey)), 'known');
});

test('a revoked client is shut out, and neither token nor renewal lets it in again', async () => {
  const lea = await machine();
  const token = await tokenFor('lea');
  const request = asks(lea, token, 'host');
  const answer = await center.redeem(request);
  const joined = acceptEnrollment(lea, token, answer, authority.root.certificate, world.clock.now());
  await setRevoked(ledger.db, lea.client, world.clock.now());
  assert.equal(await center.standing(lea.client, rawKeyHash(lea.tls.publicKey)), 'revoked');
  const code = { code: 'revoked' };
  await assert.rejects(center.redeem(request), code);
  await assert.rejects(center.redeem(asks(lea, await tokenFor('lea'), 'host')), code);
  await assert.rejects(center.renew(renewRequest(lea, joined, world.clock.now())), code);
});

test('a certificate is renewed by proof of the instance key, even long after it has expired (faults G2)', async () => {
  const max = await machine();
  const token = await tokenFor('max');
  const answer = await center.redeem(asks(max, token, 'host'));
  const joined = acceptEnrollment(max, token, answer, authority.root.certificate, world.clock.now());
  assert.equal(passNeedsRenewal(joined, world.clock.now()), false);
  world.advance(LIFETIME.client + 30 * DAY_MS);
  assert.equal(passNeedsRenewal(joined, world.clock.now()), true);
  const now = world.clock.now();
  const renewed = acceptRenewal(max, joined, await center.renew(renewRequest(max, joined, now)));
  const { notAfter } = readClientCertificate(parseCertificate(renewed.chain));
  assert.ok(notAfter > now + LIFETIME.client - DAY_MS);
  assert.equal(passNeedsRenewal(renewed, now), false);
  const stale = renewRequest(max, joined, now - 6 * MINUTE_MS);
  await assert.rejects(center.renew(stale), { code: 'clock-off' });
  const { proof, ...body } = renewRequest(max, joined, now);
  assert.equal(proof.length, 64);
  await assert.rejects(center.renew(proveRenew(body, newKey(world))), { code: 'wrong-signature' });
  const unknown = proveRenew({ ...body, client: 'ab'.repeat(16) as ClientId }, max.instance);
  await assert.rejects(center.renew(unknown), { code: 'not-enrolled' });
});

test('a client does not take what another center, or a lying one, answers', async () => {
  const ned = await machine();
  const token = await tokenFor('ned');
  const answer = await center.redeem(asks(ned, token, 'host'));
  const now = world.clock.now();
  const ca = authority.root.certificate;
  const elsewhere = await createAuthority(world, `${world.directory}/elsewhere`, {
    name: 'Osaka',
    kind: 'center',
  });
  assert.throws(() => acceptEnrollment(ned, token, { ...answer, center: elsewhere.face }, ca, now), {
    code: 'token-other-center',
  });
  assert.throws(() => acceptEnrollment(ned, token, answer, elsewhere.root.certificate, now), {
    code: 'wrong-center',
  });
  const other = await machine();
  assert.throws(() => acceptEnrollment(other, token, answer, ca, now), { code: 'wrong-key' });
  assert.throws(() => acceptEnrollment(ned, token, { ...answer, chain: ca }, ca, now), {
    code: 'not-enrolled',
  });
});

const SHOP = 'cd'.repeat(16) as CenterId;

test('a relay joins with its node id, and both it and an agent are on record as members of this node', async () => {
  const [shop, amy] = [await machine(), await machine()];
  await center.redeem(asks(shop, await tokenFor('shop', HOUR_MS, 'relay'), 'host', SHOP));
  await center.redeem(asks(amy, await tokenFor('amy'), 'host'));
  const client = await findClient(ledger.db, shop.client);
  assert.deepEqual([client?.role, client?.node], ['relay', SHOP]);
  const members = (await listMembers(ledger.db)).filter(({ name }) => ['shop', 'amy'].includes(name));
  for (const [identity, node] of [
    [shop, SHOP],
    [amy, null],
  ] as const) {
    const row = members.find(({ client }) => client === identity.client);
    assert.deepEqual([row?.joined, row?.via, row?.node], [authority.face.id, identity.client, node]);
    const { joined, client } = openMembership(row!.membership);
    assert.deepEqual([joined, client], [authority.face.id, identity.client]);
  }
});

test('an agent’s token lets no relay in, and a relay’s no agent: both ends say so, and the token stays good', async () => {
  const machines = [await machine(), await machine()];
  const code = { code: 'token-other-role' };
  for (const [at, role] of (['agent', 'relay'] as const).entries()) {
    const token = await tokenFor(`role-${role}`, HOUR_MS, role);
    const [right, wrong] = role === 'relay' ? [SHOP, null] : [null, SHOP];
    assert.throws(() => asks(machines[at]!, token, 'host', wrong), code);
    const lied: JoinToken = { ...token, role: role === 'relay' ? 'agent' : 'relay' };
    await assert.rejects(center.redeem(asks(machines[at]!, lied, 'host', wrong)), code);
    assert.equal((await center.redeem(asks(machines[at]!, token, 'host', right))).role, role);
  }
});

test('no node joins below itself: a relay that is here or above is refused by both ends', async () => {
  const above = 'ef'.repeat(16) as CenterId;
  const own = 'ab'.repeat(16) as CenterId;
  const relay = { ...authority, face: { ...authority.face, kind: 'relay' as const } };
  const leading = { centers: () => [tokyo], above: () => [above] };
  const enrollment = new Enrollment(world, ledger, relay, leading);
  const identity = await machine();
  const token = await tokenFor('circle', HOUR_MS, 'relay', enrollment);
  const code = { code: 'joined-in-circle' };
  assert.throws(() => asks(identity, token, 'host', token.center), code);
  const lied = { ...token, center: own };
  const { membership: _other, proof: _proof, ...body } = asks(identity, lied, 'host', token.center);
  for (const node of [token.center, above]) {
    const word = { client: identity.client, instanceKey: identity.instance.publicKey, at: 1 };
    const membership = signMembership({ ...word, joined: token.center, node }, identity.instance);
    const request = proveJoin({ ...body, center: token.center, membership }, identity.instance);
    await assert.rejects(enrollment.redeem(request), code);
  }
  assert.equal((await enrollment.redeem(asks(identity, token, 'host', own))).role, 'relay');
});

const tokyo = centerFace('tokyo', new Uint8Array(32).fill(1));
const osaka = centerFace('osaka', new Uint8Array(32).fill(2));

test('keys of centers come with a relay’s token; a second one may add a center and never removes one', async () => {
  const relay = { ...authority, face: { ...authority.face, kind: 'relay' as const } };
  let centers = [tokyo];
  const enrollment = new Enrollment(world, ledger, relay, { centers: () => centers, above: () => [] });
  const identity = await machine();
  const ca = authority.root.certificate;
  const join = async (as: ClientIdentity) => {
    const token = await tokenFor('leading', HOUR_MS, 'agent', enrollment);
    return acceptEnrollment(as, token, await enrollment.redeem(asks(as, token, 'host')), ca, 1);
  };
  const first = await join(identity);
  assert.equal(first.face.kind, 'relay');
  assert.deepEqual(first.centers, [tokyo]);
  centers = [osaka];
  const second = await join({ ...identity, centers: [first] });
  assert.deepEqual(second.centers, [osaka, tokyo]);
  centers = [];
  await assert.rejects(tokenFor('leading', HOUR_MS, 'agent', enrollment), { code: 'no-route' });
});

test('a membership that is not about this join is refused, and so is one that another signed', async () => {
  const [uma, val] = [await machine(), await machine()];
  const token = await tokenFor('uma');
  const { proof: _proof, ...body } = asks(uma, token, 'host');
  const word = { client: uma.client, instanceKey: uma.instance.publicKey, node: null, at: 1 };
  const there = signMembership({ ...word, joined: SHOP }, uma.instance);
  const forged = signMembership({ ...word, joined: token.center }, val.instance);
  for (const [membership, code] of [
    [there, 'forbidden'],
    [asks(val, token, 'host').membership, 'forbidden'],
    [forged, 'wrong-signature'],
    [new Uint8Array([1]), 'bad-request'],
  ] as const) {
    await assert.rejects(center.redeem(proveJoin({ ...body, membership }, uma.instance)), { code });
  }
  const swapped = { ...asks(uma, token, 'host'), membership: there };
  await assert.rejects(center.redeem(swapped), { code: 'wrong-signature' });
  await center.redeem(asks(uma, token, 'host'));
});

test('a machine that has said that it left has no pass, and joins again by a newer word only', async () => {
  const eva = await machine();
  const answer = await center.redeem(asks(eva, await tokenFor('eva'), 'host'));
  const { keyHash } = readClientCertificate(parseCertificate(answer.chain));
  const { client, instance } = eva;
  const at = world.clock.now() + HOUR_MS;
  const left = signLeaving(
    { client, instanceKey: instance.publicKey, left: authority.face.id, at },
    instance,
  );
  await ledger.transaction(async (db) => {
    const { ended } = await takeLeavings(db, [left], async () => true);
    assert.equal(ended.length, 1);
    await dropPass(db, client);
  });
  assert.equal(await center.standing(client, keyHash), 'left');
  const joined = acceptEnrollment(eva, await tokenFor('x'), answer, authority.root.certificate, at);
  await assert.rejects(center.renew(renewRequest(eva, joined, world.clock.now())), /has left here/);
  const token = await tokenFor('eva', 2 * HOUR_MS);
  await assert.rejects(center.redeem(asks(eva, token, 'host')), { code: 'clock-off' });
  world.advance(HOUR_MS + 1);
  await center.redeem(asks(eva, token, 'host'));
  assert.equal(await center.standing(client, keyHash), 'known');
});
