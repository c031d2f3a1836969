import assert from 'node:assert/strict';
import { chmod, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { realWorld, type TestWorld } from '../../test/support/real-world.ts';
import { DAY_MS } from '../model/time.ts';
import { createAuthority, loadAuthority, serverCredentials } from './authority.ts';
import { LIFETIME, parseCertificate, readServerCertificate } from './certificates.ts';
import {
  addCenter,
  centerOf,
  createClientIdentity,
  type JoinedCenter,
  loadClientIdentity,
  removeCenter,
  unitedCenters,
} from './client-identity.ts';

let world: TestWorld;
let directories = 0;
const directory = (): string => `${world.directory}/${directories++}/identity`;

before(async () => void (world = await realWorld()));
after(() => world.dispose());

test('a center finds its keys again, and every file of them is private', async () => {
  const at = directory();
  const made = await createAuthority(world, at, { name: 'Tokyo', kind: 'center' });
  const loaded = await loadAuthority(world, at, 'center');
  assert.deepEqual(loaded.face, made.face);
  assert.equal(loaded.caHash, made.caHash);
  assert.deepEqual(loaded.issuer.key.seed, made.issuer.key.seed);
  for (const name of await readdir(at)) assert.equal((await stat(`${at}/${name}`)).mode & 0o777, 0o600, name);
  assert.equal((await stat(at)).mode & 0o777, 0o700);
  await assert.rejects(createAuthority(world, at, { name: 'again', kind: 'center' }), {
    code: 'node-exists',
  });
  await assert.rejects(createAuthority(world, directory(), { name: ' \n', kind: 'center' }), {
    code: 'bad-name',
  });
});

test('nothing of a center counts before its last file', async () => {
  const at = directory();
  await createAuthority(world, at, { name: 'Tokyo', kind: 'center' });
  await rm(`${at}/center.json`);
  await assert.rejects(loadAuthority(world, at, 'center'), { code: 'not-a-node' });
  const made = await createAuthority(world, at, { name: 'Kyoto', kind: 'center' });
  assert.equal((await loadAuthority(world, at, 'center')).face.id, made.face.id);
});

test('an old issuer is renewed under the same root, with the same key', async () => {
  const at = directory();
  const made = await createAuthority(world, at, { name: 'Tokyo', kind: 'center' });
  world.advance((LIFETIME.issuer * 3) / 4);
  const loaded = await loadAuthority(world, at, 'center');
  const again = await loadAuthority(world, at, 'center');
  assert.equal(again.issuer.certificate, loaded.issuer.certificate);
  world.advance(-(LIFETIME.issuer * 3) / 4);
  const before = parseCertificate(made.issuer.certificate);
  const after = parseCertificate(loaded.issuer.certificate);
  assert.ok(after.validToDate.getTime() > before.validToDate.getTime() + 3 * 365 * DAY_MS);
  assert.ok(after.publicKey.equals(before.publicKey));
  assert.ok(after.verify(parseCertificate(made.root.certificate).publicKey));
  const setRight = parseCertificate((await loadAuthority(world, at, 'center')).issuer.certificate);
  assert.ok(setRight.validFromDate.getTime() <= world.clock.now(), 'the clock was ahead when it was renewed');
});

test('a server gets a certificate for its names, a new key every time, and a time to renew it', async () => {
  const authority = await createAuthority(world, directory(), { name: 'Tokyo', kind: 'center' });
  const credentials = serverCredentials(world, authority, ['backup.example.org', '::1']);
  const leaf = parseCertificate(credentials.chain);
  assert.equal(readServerCertificate(leaf).center, authority.face.id);
  assert.ok(credentials.renewAt < leaf.validToDate.getTime());
  assert.equal(credentials.chain.match(/BEGIN CERTIFICATE/g)?.length, 3);
  assert.notEqual(serverCredentials(world, authority, []).key, credentials.key);
});

test('keys that others may read, or that belong to something else, are refused (faults 68)', async () => {
  const at = directory();
  await createAuthority(world, at, { name: 'Tokyo', kind: 'center' });
  await chmod(`${at}/root.key`, 0o640);
  await assert.rejects(loadAuthority(world, at, 'center'), { code: 'forbidden' });
  await chmod(`${at}/root.key`, 0o600);
  const other = directory();
  await createAuthority(world, other, { name: 'Osaka', kind: 'center' });
  await world.disk.rename(`${other}/receipt.key`, `${at}/receipt.key`);
  await assert.rejects(loadAuthority(world, at, 'center'), { code: 'wrong-key' });
});

test('a client keeps its keys and the centers it has joined', async () => {
  const at = directory();
  await assert.rejects(loadClientIdentity(world, at), { code: 'not-a-node' });
  const made = await createClientIdentity(world, at);
  await assert.rejects(createClientIdentity(world, at), { code: 'node-exists' });
  const joined = await join('Tokyo', 5);
  const earlier = await join('Osaka', 4);
  const one = await addCenter(world, at, made, joined);
  const two = await addCenter(world, at, one, earlier);
  const loaded = await loadClientIdentity(world, at);
  assert.deepEqual(plain(loaded), plain(two));
  assert.deepEqual(
    loaded.centers.map(({ face }) => face.name),
    ['Osaka', 'Tokyo'],
  );
  assert.deepEqual(centerOf(loaded, joined.face.id), joined);
  const moved = { ...joined, addresses: [{ host: 'elsewhere', port: 1 }] };
  await addCenter(world, at, loaded, moved);
  assert.deepEqual(centerOf(await loadClientIdentity(world, at), joined.face.id), moved);
  assert.throws(() => centerOf(made, joined.face.id), { code: 'not-enrolled' });
});

test('a relay is known with the centers that it leads to; a file that says nothing of them is of a center', async () => {
  const at = directory();
  const made = await createClientIdentity(world, at);
  const [tokyo, osaka, relay] = [await join('Tokyo', 1), await join('Osaka', 2), await join('Shop', 3)];
  const shop = {
    ...relay,
    face: { ...relay.face, kind: 'relay' as const },
    centers: [tokyo.face, osaka.face],
  };
  const joined = await addCenter(world, at, await addCenter(world, at, made, tokyo), shop);
  assert.deepEqual((await loadClientIdentity(world, at)).centers, [tokyo, shop]);
  const reached = unitedCenters(joined.centers.map(({ centers }) => centers));
  assert.deepEqual(reached, [tokyo.face, osaka.face]);

  const path = `${at}/centers/${tokyo.face.id}.json`;
  const { kind: _kind, centers: _centers, ...old } = JSON.parse(await readFile(path, 'utf8'));
  await writeFile(path, JSON.stringify(old));
  assert.deepEqual((await loadClientIdentity(world, at)).centers, [tokyo, shop]);
});

test('a node that was left is forgotten, and the others are not', async () => {
  const at = directory();
  const made = await createClientIdentity(world, at);
  const [tokyo, osaka] = [await join('Tokyo', 1), await join('Osaka', 2)];
  const joined = await addCenter(world, at, await addCenter(world, at, made, tokyo), osaka);
  const left = await removeCenter(world, at, joined, tokyo.face.id);
  assert.deepEqual(left.centers, [osaka]);
  assert.deepEqual((await loadClientIdentity(world, at)).centers, [osaka]);
});

test('the keys of a relay are not those of a center', async () => {
  const at = directory();
  const made = await createAuthority(world, at, { name: 'Shop', kind: 'relay' });
  assert.deepEqual((await loadAuthority(world, at, 'relay')).face, made.face);
  assert.equal(made.face.kind, 'relay');
  await assert.rejects(loadAuthority(world, at, 'center'), { code: 'not-a-node' });
  const file = JSON.parse(await readFile(`${at}/center.json`, 'utf8'));
  await writeFile(`${at}/center.json`, JSON.stringify({ ...file, kind: undefined }));
  assert.equal((await loadAuthority(world, at, 'center')).face.kind, 'center');
});

test('a client key that is damaged or readable is an error, never a new key (faults G4)', async () => {
  const at = directory();
  await createClientIdentity(world, at);
  await chmod(`${at}/device.key`, 0o604);
  await assert.rejects(loadClientIdentity(world, at), { code: 'forbidden' });
  await chmod(`${at}/device.key`, 0o600);
  await writeFile(`${at}/device.key`, 'short\n');
  await assert.rejects(loadClientIdentity(world, at), { code: 'wrong-key' });
  await writeFile(`${at}/device.key`, 'ab'.repeat(32));
  await writeFile(`${at}/instance.key`, '');
  await assert.rejects(loadClientIdentity(world, at), { code: 'wrong-key' });
  await rm(`${at}/tls.key`);
  await assert.rejects(loadClientIdentity(world, at));
  await writeFile(`${at}/client.json`, '{"format":2}');
  await assert.rejects(loadClientIdentity(world, at), { code: 'bad-config' });
  await writeFile(`${at}/client.json`, '{');
  await assert.rejects(loadClientIdentity(world, at), { code: 'bad-config' });
});

test('a root that is not the one of the token is not remembered', async () => {
  const at = directory();
  const identity = await createClientIdentity(world, at);
  const joined = await join('Tokyo', 1);
  await assert.rejects(addCenter(world, at, identity, { ...joined, caHash: 'ab'.repeat(32) }), {
    code: 'wrong-center',
  });
});

async function join(name: string, joinedAt: number): Promise<JoinedCenter> {
  const { face, root, caHash, issuer } = await createAuthority(world, directory(), { name, kind: 'center' });
  const addresses = [{ host: 'localhost', port: 8420 }];
  const ca = root.certificate;
  const rest = { caHash, ca, chain: issuer.certificate, name: 'ann', role: 'agent', joinedAt } as const;
  return { face, centers: [face], addresses, ...rest };
}

const plain = ({ instance, tls, ...rest }: Awaited<ReturnType<typeof loadClientIdentity>>) => ({
  ...rest,
  instance: instance.seed,
  tls: tls.seed,
});
