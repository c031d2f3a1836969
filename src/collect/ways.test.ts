import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ClientId, SnapshotId } from '../model/ids.ts';
import type { QueuedOffer } from './past.ts';
import { Ways } from './ways.ts';

const SNAPSHOT = '5'.repeat(64) as SnapshotId;
const [EAST, WEST] = ['e'.repeat(32), 'f'.repeat(32)] as [ClientId, ClientId];
const always = (): boolean => true;

const offer = (client: ClientId, transfer: string): QueuedOffer => ({
  snapshot: SNAPSHOT,
  client,
  manifest: new Uint8Array(),
  wishes: { transfer, zone: 'UTC', centers: [], freeAfter: 'centers', bytes: 1, blocks: 1 },
  offeredAt: 0,
  received: 0,
  lastCollected: null,
  job: 'home',
  sequence: 1,
  owner: { client, name: 'ann', address: null },
});

test('P3: what comes by another way comes in the hours of that way, not of the one that has left', () => {
  const ways = new Ways();
  assert.equal(ways.offered(offer(WEST, '02:00-04:00')), null);
  assert.equal(ways.offered(offer(EAST, 'any')), WEST);
  ways.take(offer(EAST, 'any'));
  assert.deepEqual(ways.leave(EAST), [SNAPSHOT]);
  assert.equal(ways.another(SNAPSHOT, always)?.wishes.transfer, '02:00-04:00');
});

test('a way whose machine has gone is none', () => {
  const ways = new Ways();
  ways.offered(offer(WEST, 'any'));
  ways.offered(offer(EAST, 'any'));
  assert.deepEqual(ways.leave(EAST), [], 'nothing was planned by it');
  assert.equal(ways.another(SNAPSHOT, always), null);
  ways.offered(offer(EAST, 'any'));
  assert.equal(
    ways.another(SNAPSHOT, (client) => client !== EAST),
    null,
  );
});
