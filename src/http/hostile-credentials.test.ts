import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { HttpCenter } from '../../test/support/http-center.ts';
import { type RawAnswer, rawAsk, rawConnect, rawRead, rawRequest } from '../../test/support/raw-tls.ts';
import { newIssuance } from '../identity/authority.ts';
import { newKey } from '../identity/new-key.ts';
import {
  issueClientCertificate,
  issueServerCertificate,
  LIFETIME,
  privateKeyPem,
} from '../identity/certificates.ts';
import { clientCredentials } from '../identity/client-identity.ts';
import { joinRequest } from '../identity/joining.ts';
import { setRevoked } from '../ledger/clients.ts';
import { DAY_MS } from '../model/time.ts';
import { encodeMessage } from '../protocol/fields.ts';
import type { Joined } from './join.ts';
import { joinMessage } from './join-messages.ts';

let house: HttpCenter;
let ann: Joined;
let bob: Joined;
const JSON_BODY = { 'Content-Type': 'application/json' };

before(async () => {
  house = await HttpCenter.start({ recheck_ms: 100 });
  ann = await house.join('ann');
  bob = await house.join('bob');
});
after(() => house.close());

test('certificates that do not count are worth as much as none (faults 20)', async () => {
  const elsewhere = await HttpCenter.start();
  const stranger = await elsewhere.join('stranger');
  const { key } = clientCredentials(ann.identity, ann.center);
  const { issuer, face } = house.authority;
  const leaf = (at: number): string =>
    issueClientCertificate(
      issuer,
      { client: ann.identity.client, publicKey: ann.identity.tls.publicKey },
      { ...newIssuance(house.world), now: at },
    ) + issuer.certificate;
  const now = house.world.clock.now();
  const server = issueServerCertificate(
    issuer,
    { center: face.id, names: ['localhost'], publicKey: ann.identity.tls.publicKey },
    newIssuance(house.world),
  );
  const otherKey = newKey(house.world);
  const wrongKey = issueClientCertificate(
    issuer,
    { client: ann.identity.client, publicKey: otherKey.publicKey },
    newIssuance(house.world),
  );
  const cases: Record<string, { key: string; cert: string }> = {
    'of another center': clientPem(stranger),
    expired: { key, cert: leaf(now - LIFETIME.client - DAY_MS) },
    'not yet valid': { key, cert: leaf(now + DAY_MS) },
    "a server's": { key, cert: server + issuer.certificate },
    'right name, other key': { key: privateKeyPem(otherKey), cert: wrongKey + issuer.certificate },
  };
  for (const [name, credentials] of Object.entries(cases)) {
    const socket = await rawConnect(house, null, credentials);
    socket.write(rawRequest(house, 'POST', '/v1/copies', JSON_BODY, '{}'));
    const answer = await rawRead(socket, 1000);
    assert.equal(answer.status, 401, `${name}: ${answer.text}`);
    assert.equal(answer.text.includes('"clock-off"'), name === 'not yet valid', `${name}: ${answer.text}`);
  }
  const old = await rawConnect(house, ann, { maxVersion: 'TLSv1.2' });
  assert.equal(old.destroyed, true);
  await elsewhere.close();
});

test('a certificate that expires while its connection is open does not count any more', async () => {
  const socket = await rawConnect(house, bob);
  house.world.advance(LIFETIME.client + DAY_MS);
  socket.write(rawRequest(house, 'POST', '/v1/copies', JSON_BODY, '{}'));
  const { status } = await rawRead(socket, 1000);
  house.world.advance(-LIFETIME.client - DAY_MS);
  assert.equal(status, 401);
});

test('the server renews its own certificate while it runs', async () => {
  const small = await HttpCenter.start({ renew_check_ms: 10 });
  const serial = async (): Promise<string> => {
    const socket = await rawConnect(small, null, { rejectUnauthorized: false });
    const certificate = socket.getPeerX509Certificate();
    socket.destroy();
    return certificate!.serialNumber;
  };
  const first = await serial();
  assert.equal(await serial(), first);
  small.world.advance((LIFETIME.server * 3) / 4);
  await sleep(50);
  assert.notEqual(await serial(), first);
  await small.close();
});

test('a server whose clock was ahead has a certificate that counts again soon after that is set right', async (t) => {
  const small = await HttpCenter.start({ renew_check_ms: 10 });
  t.after(() => small.close());
  const joined = await small.join('carl');
  const ask = async (): Promise<unknown> => {
    const api = small.connect(joined);
    await sleep(50);
    return await api.copies({}).finally(() => api.close());
  };
  const ahead = (LIFETIME.server * 3) / 4;
  small.world.advance(ahead);
  await assert.rejects(ask(), { code: 'clock-off' });
  small.world.advance(-ahead);
  assert.deepEqual(await ask(), { rows: [], next: null });
});

const JOINING = { host: 'host', node: null, at: 1 };

test('two uses of one token at the same time: one certificate; many guesses: 429 and one alarm (faults 24)', async () => {
  const small = await HttpCenter.start({ failed_joins_per_minute: 5 });
  const token = await small.token('carl');
  const send = (joined: Joined): Promise<RawAnswer> => {
    const body = encodeMessage(joinMessage, joinRequest(joined.identity, token, JOINING)).toString();
    return rawAsk(small, null, rawRequest(small, 'POST', '/v1/join', JSON_BODY, body));
  };
  const machines = [await small.join('one'), await small.join('two')];
  const statuses = (await Promise.all(machines.map(send))).map(({ status }) => status).sort((a, b) => a - b);
  assert.deepEqual(statuses, [200, 410]);
  const guess = { ...token, secret: new Uint8Array(32) };
  const body = encodeMessage(joinMessage, joinRequest(machines[0]!.identity, guess, JOINING)).toString();
  const guesses: number[] = [];
  for (let at = 0; at < 6; at++) {
    guesses.push((await rawAsk(small, null, rawRequest(small, 'POST', '/v1/join', JSON_BODY, body))).status);
  }
  assert.deepEqual(guesses, [401, 401, 401, 401, 429, 429]);
  const alarms = small.world.monitor.events.filter((event) => event.kind === 'alarm');
  assert.equal(alarms.length, 1);
  assert.equal(
    (await rawAsk(small, null, rawRequest(small, 'POST', '/v1/join?token=x', JSON_BODY, body))).status,
    400,
  );
  const told = JSON.stringify(small.world.monitor.events);
  for (const text of ['hex', 'base64url'] as const)
    assert.ok(!told.includes(Buffer.from(token.secret).toString(text)));
  await small.close();
});

test('a client that is shut out is out within one recheck, on open streams too (faults 26)', async () => {
  const eve = await house.join('eve');
  const api = house.connect(eve);
  const listening = Array.fromAsync(api.orders(new AbortController().signal));
  await until(() => house.center.shelf(eve.identity.client).open === 1);
  await setRevoked(house.ledger.db, eve.identity.client, house.world.clock.now());
  await assert.rejects(listening, { code: 'revoked' });
  assert.equal(house.center.shelf(eve.identity.client).open, 0);
  await assert.rejects(api.copies({}), { code: 'revoked' });
  api.close();
});

const clientPem = (joined: Joined): { key: string; cert: string } => {
  const { key, chain } = clientCredentials(joined.identity, joined.center);
  return { key, cert: chain };
};

async function until(happens: () => boolean, ms = 3000): Promise<void> {
  for (const end = performance.now() + ms; performance.now() < end; await sleep(5)) if (happens()) return;
  assert.fail('it never happened');
}
