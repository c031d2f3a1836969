import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import * as fc from 'fast-check';
import { HttpCenter } from '../../test/support/http-center.ts';
import { rawAsk, rawRequest } from '../../test/support/raw-tls.ts';
import { errorRegistry } from '../model/errors.ts';
import type { OrderId, SnapshotId } from '../model/ids.ts';
import type { Joined } from './join.ts';
import { routes } from './router.ts';

let house: HttpCenter;
let ann: Joined;
const order = '0f'.repeat(16) as OrderId;
const snapshot = 'ab'.repeat(32) as SnapshotId;
const filled = (path: string): string =>
  path.replace('orders/:id', `orders/${order}`).replace(':id', snapshot);

before(async () => {
  house = await HttpCenter.start({
    body_ms: 100,
    idle_ms: 100,
    linger_ms: 100,
    failed_joins_per_minute: 1e9,
  });
  ann = await house.join('ann');
  house.center.shelf(ann.identity.client).order = order;
  house.center.shelf(ann.identity.client).snapshots.add(snapshot);
});
after(() => house.close());

test('any bytes on any route: never a 500, never a status that no rule gives, and the center serves on', async () => {
  const known = new Set([
    200,
    401,
    405,
    408,
    415,
    417,
    431,
    ...Object.values(errorRegistry).map(({ status }) => status),
  ]);
  const paths = fc.oneof(
    fc.constantFrom(...routes.map(({ path }) => filled(path))),
    fc.string({ unit: 'binary-ascii', maxLength: 40 }).map((text) => '/' + text.replaceAll(/[\r\n ]/g, '')),
  );
  const methods = fc.constantFrom('GET', 'POST', 'POST', 'POST', 'DELETE', 'HEAD', 'PUT', 'CONNECT', 'X');
  const types = fc.constantFrom(
    'application/json',
    'application/vnd.lowtide.ids',
    'application/vnd.lowtide.frames',
    'x',
  );
  const bodies = fc.oneof(
    fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
    fc.json({ maxDepth: 3 }),
  );
  await fc.assert(
    fc.asyncProperty(
      methods,
      paths,
      types,
      bodies,
      fc.boolean(),
      async (method, path, type, body, enrolled) => {
        if (path === '/v1/orders' && method === 'GET') return;
        const bytes = Buffer.from(rawRequest(house, method, path, { 'Content-Type': type }, body), 'latin1');
        const { status } = await rawAsk(house, enrolled ? ann : null, bytes, 150);
        assert.ok(status === 0 || known.has(status), `${method} ${path}: ${status}`);
      },
    ),
    { numRuns: 120 },
  );
  assert.equal((await rawAsk(house, null, rawRequest(house, 'GET', '/v1/health'))).status, 200);
  const json = { 'Content-Type': 'application/json' };
  const honest = rawRequest(house, 'POST', '/v1/copies', json, '{}');
  assert.equal((await rawAsk(house, ann, honest)).status, 200);
  const crashes = house.world.monitor.events.filter(
    (event) => event.kind === 'alarm' && event.code === 'crashed',
  );
  assert.deepEqual(crashes, []);
});
