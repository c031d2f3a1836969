import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KeyringHash } from '../model/ids.ts';
import {
  blocks,
  DEPOT,
  fakeSnapshotId,
  newDepot,
  newNode,
  snapshotOf,
  testKeyring,
} from '../../test/support/depot-kit.ts';
import { Depot } from './depot.ts';

test('manifests are put, listed in order of id, and removed', async () => {
  const node = newNode();
  const depot = await newDepot(node.boot());
  const built = [await snapshotOf(blocks(1)), await snapshotOf(blocks(2)), await snapshotOf(blocks(3))];
  for (const { signed } of built) await depot.putManifest(signed);
  await depot.putManifest(built[0]!.signed);
  const ids = built.map(({ signed }) => signed.id).sort();
  const listed = await Array.fromAsync(depot.manifests());
  assert.deepEqual(
    listed.map(({ id }) => id),
    ids,
  );
  assert.deepEqual((await depot.manifest(ids[1]!)).manifest.client, built[0]!.signed.manifest.client);
  assert.ok(await depot.hasManifest(ids[1]!));
  await depot.removeManifest(ids[1]!);
  await depot.removeManifest(ids[1]!);
  node.crash('lose');
  const again = await Depot.open(node.boot(), DEPOT, 'read');
  assert.ok(!(await again.hasManifest(ids[1]!)));
  await assert.rejects(again.manifest(ids[1]!), { code: 'no-such-snapshot' });
  assert.equal((await Array.fromAsync(again.manifests())).length, 2);
  await assert.rejects(again.putManifest(built[0]!.signed), TypeError);
});

test('a manifest under the name of another is refused', async () => {
  const node = newNode();
  const world = node.boot();
  const depot = await newDepot(world);
  const { signed } = await snapshotOf(blocks(1));
  await depot.putManifest(signed);
  const other = fakeSnapshotId('other');
  await world.disk.rename(`${DEPOT}/manifests/${signed.id}`, `${DEPOT}/manifests/${other}`);
  await assert.rejects(depot.manifest(other), { code: 'damaged-manifest' });
});

test('a manifest that is there already is durable when it was put again', async () => {
  const node = newNode();
  const depot = await newDepot(node.boot());
  const { signed } = await snapshotOf(blocks(1));
  // The process dies before the name is durable: it is seen, but a power loss may take it away.
  node.simulation.observe(({ kind, detail }) =>
    kind === 'disk.syncDirectory' && detail.endsWith('manifests') && node.incarnation?.number === 1
      ? 'crash-before'
      : undefined,
  );
  node.crashPolicy = 'kill';
  void depot.putManifest(signed);
  await node.simulation.settle();
  const again = await Depot.open(node.boot(), DEPOT, 'write');
  await again.putManifest(signed);
  node.crash('lose');
  assert.ok(await (await Depot.open(node.boot(), DEPOT, 'read')).hasManifest(signed.id));
});

test('keyrings are kept by client and version, and found by client and hash', async () => {
  const depot = await newDepot(newNode().boot());
  const rings = [testKeyring('ann', 2), testKeyring('ann', 1), testKeyring('bob', 1)];
  for (const ring of rings) await depot.putKeyring(ring);
  const ann = rings[0]!.keyring.client;
  assert.deepEqual(
    (await depot.keyrings(ann)).map(({ keyring }) => keyring.version),
    [1, 2],
  );
  assert.equal((await depot.keyrings()).length, 3, 'one of them was there');
  assert.deepEqual(
    (await depot.keyring(rings[2]!.keyring.client, rings[2]!.hash)).keyring,
    rings[2]!.keyring,
  );
  await assert.rejects(depot.keyring(ann, fakeSnapshotId('x') as string as KeyringHash), {
    code: 'not-found',
  });
  assert.deepEqual(await depot.keyrings(fakeSnapshotId('x').slice(32) as typeof ann), []);
});

test('a damaged keyring is told, not left out', async () => {
  const node = newNode();
  const depot = await newDepot(node.boot());
  const ring = testKeyring('ann');
  await depot.putKeyring(ring);
  node.disk.corrupt(
    node.disk.paths().find((path) => path.includes(ring.hash))!,
    50,
    1,
  );
  await assert.rejects(depot.keyring(ring.keyring.client, ring.hash), { code: 'damaged-keyring' });
  await assert.rejects(depot.keyrings(), { code: 'damaged-keyring' });
});

test('void records are kept beside the manifests', async () => {
  const depot = await newDepot(newNode().boot());
  const [one, other] = [fakeSnapshotId('one'), fakeSnapshotId('other')];
  await depot.putVoid(one, Buffer.from('record'));
  assert.deepEqual(await depot.voids(), [one]);
  assert.equal(Buffer.from((await depot.voidRecord(one))!).toString(), 'record');
  assert.equal(await depot.voidRecord(other), null);
});

test('F93: what relays have lost is kept beside them until it is removed, by depots of before too', async () => {
  const node = newNode();
  const depot = await newDepot(node.boot());
  const [one, other] = [fakeSnapshotId('one'), fakeSnapshotId('other')];
  assert.deepEqual(await depot.losses(), []);
  for (const id of [one, other]) await depot.putLoss(id, Buffer.from(`note of ${id}`));
  await depot.removeLoss(other);
  node.crash('lose');
  const again = await Depot.open(node.boot(), DEPOT, 'write');
  assert.deepEqual(await again.losses(), [one]);
  assert.equal(Buffer.from(await again.loss(one)).toString(), `note of ${one}`);
  await assert.rejects(again.loss(other), { code: 'not-found' });
  node.disk.corrupt(`${DEPOT}/losses/${one}`, 3, 1);
  await assert.rejects(again.loss(one), { code: 'damaged-manifest' });
});

test('what interrupted writes left is swept when the depot is opened for writing', async () => {
  const node = newNode();
  const world = node.boot();
  await (await newDepot(world)).close();
  const ring = testKeyring();
  await world.disk.makeDirectory(`${DEPOT}/keyrings/${ring.keyring.client}`);
  await world.disk.makeDirectory(`${DEPOT}/losses`);
  const left = [
    '.config.0.tmp',
    `manifests/.a.0.tmp`,
    `keyrings/${ring.keyring.client}/.b.3.tmp`,
    'voids/.c.1.tmp',
    'losses/.d.0.tmp',
  ];
  for (const path of left) await (await world.disk.create(`${DEPOT}/${path}`)).close();
  const before = node.disk.paths().length;
  await (await Depot.open(world, DEPOT, 'read')).close();
  assert.equal(node.disk.paths().length, before);
  await Depot.open(world, DEPOT, 'write');
  assert.deepEqual(
    node.disk.paths().filter((path) => path.endsWith('.tmp')),
    [],
  );
});
