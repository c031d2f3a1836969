import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { HttpCenter } from '../../test/support/http-center.ts';
import { parseCertificate, readClientCertificate } from '../identity/certificates.ts';
import { loadClientIdentity } from '../identity/client-identity.ts';
import { joinCenter, renewPass } from './join.ts';

let tokyo: HttpCenter;
let osaka: HttpCenter;

before(async () => {
  tokyo = await HttpCenter.start();
  osaka = await HttpCenter.start();
});
after(async () => {
  await tokyo.close();
  await osaka.close();
});

test('a machine joins two centers with one identity, and finds both again', async () => {
  const directory = `${tokyo.world.directory}/two`;
  const first = await joinCenter(tokyo.world, directory, await tokyo.token('ann'), { host: 'host' });
  const second = await joinCenter(tokyo.world, directory, await osaka.token('ann-in-osaka'), {
    host: 'host',
  });
  assert.equal(second.identity.client, first.identity.client);
  const loaded = await loadClientIdentity(tokyo.world, directory);
  assert.deepEqual(loaded.centers.map(({ name }) => name).sort(), ['ann', 'ann-in-osaka']);
  for (const [house, joined] of [
    [tokyo, first],
    [osaka, second],
  ] as const) {
    const api = house.connect(joined);
    assert.deepEqual(await api.copies({}), { rows: [], next: null });
    api.close();
  }
});

test('after a lost answer the same token works again for the same machine, and for no other', async () => {
  const directory = `${tokyo.world.directory}/again`;
  const token = await tokyo.token('bob');
  const first = await joinCenter(tokyo.world, directory, token, { host: 'host' });
  await tokyo.world.disk.remove(`${directory}/centers/${first.center.face.id}.json`);
  const again = await joinCenter(tokyo.world, directory, token, { host: 'host' });
  assert.deepEqual({ ...again.center, joinedAt: 0 }, { ...first.center, joinedAt: 0 });
  const other = joinCenter(tokyo.world, `${tokyo.world.directory}/other`, token, { host: 'host' });
  await assert.rejects(other, { code: 'token-used' });
});

test('format F62: what joins again dates that after its last leaving, whatever its clock shows', async () => {
  const directory = `${tokyo.world.directory}/back`;
  const left = tokyo.world.clock.now() + 1_000_000;
  const lastLeft = async (): Promise<number> => left;
  const { center } = await joinCenter(tokyo.world, directory, await tokyo.token('fay'), {
    host: 'host',
    lastLeft,
  });
  assert.equal(center.joinedAt, left + 1);
});

test('a certificate is renewed over a connection that shows none', async () => {
  const directory = `${tokyo.world.directory}/renewing`;
  const { identity, center } = await joinCenter(tokyo.world, directory, await tokyo.token('eve'), {
    host: 'host',
  });
  const renewed = await renewPass(tokyo.world, directory, identity, center);
  const [before, now] = [center, renewed.center].map(({ chain }) => parseCertificate(chain));
  assert.notEqual(before!.serialNumber, now!.serialNumber);
  assert.equal(readClientCertificate(now!).client, identity.client);
  const loaded = await loadClientIdentity(tokyo.world, directory);
  assert.deepEqual(loaded.centers, [renewed.center]);
  const api = tokyo.connect(renewed);
  assert.deepEqual(await api.copies({}), { rows: [], next: null });
  api.close();
});
