import assert from 'node:assert/strict';
import { it } from 'node:test';
import { CollectKit } from '../../test/support/collect-kit.ts';
import { forecastErrors } from '../ledger/forecasts.ts';
import { HOUR_MS, MINUTE_MS, SECOND_MS } from '../model/time.ts';

const NIGHT = { windows: '22:00-06:00', zone: 'UTC', streams: 1 };
const at = (hour: number, minute = 0): number => Date.UTC(2026, 2, 2, hour, minute);

it('S75: the answer to an offer says when it is expected, and who is in front', async () => {
  const kit = await CollectKit.make({ conditions: NIGHT });
  const clients = [await kit.client('ann'), await kit.client('ben'), await kit.client('eve')];
  for (const client of clients) {
    client.listen();
    await kit.pass(2 * SECOND_MS);
    await client.offer(await client.snapshot({ data: [client.name] }), { bytes: 600_000_000 });
  }
  await kit.pass(2 * SECOND_MS);
  const places = [];
  for (const client of clients) {
    const { rows } = await client.api.copies({});
    const { code, expected } = rows[0]!;
    assert.equal(code, 'center-window');
    assert.equal(expected?.by, 'center');
    assert.ok(expected.early >= at(22) + 45 * SECOND_MS && expected.late <= at(22, 6));
    assert.ok(expected.early < expected.late);
    places.push(expected.place);
  }
  assert.deepEqual(new Set(places), new Set([1, 2, 3]));
});

it('S75: nobody is told more often than a forecast is worth: what has not changed is not foreseen anew', async () => {
  const kit = await CollectKit.make({ conditions: NIGHT });
  const ann = await kit.client('ann');
  ann.listen();
  await kit.pass(2 * SECOND_MS);
  await ann.offer(await ann.snapshot());
  const told = async (): Promise<number> => (await ann.api.copies({})).rows[0]!.expected!.at;
  const first = await told();
  await kit.pass(10 * SECOND_MS);
  assert.equal(await told(), first, 'nothing has happened');
  await kit.pass(2 * MINUTE_MS);
  assert.ok((await told()) > first, 'it is old');
});

it('S75: what a client cannot be expected to send is not foreseen', async () => {
  const kit = await CollectKit.make({ conditions: { ...NIGHT, streams: 0 } });
  const ann = await kit.client('ann');
  ann.listen();
  const [copy] = await ann.offer(await ann.snapshot());
  assert.equal(copy?.expected, null);
});

it('S76: the first forecast of each snapshot is compared with its arrival', async () => {
  const kit = await CollectKit.make({ conditions: NIGHT });
  const ann = await kit.client('ann');
  const snapshot = await ann.snapshot();
  const listener = ann.listen();
  await ann.offer(snapshot);
  assert.equal(await forecastErrors(kit.ledger.db, 0), null, 'nothing has come yet');
  await kit.pass(10 * HOUR_MS);
  const { order } = await listener.order();
  await kit.pass(3 * SECOND_MS);
  await ann.send(order, snapshot);
  await ann.api.commit(order);
  const errors = await forecastErrors(kit.ledger.db, 0);
  assert.equal(errors?.count, 1);
  const late = kit.simulation.now - at(22);
  assert.ok(errors.half > 0 && errors.half <= late, `${errors.half} of ${late}`);
  assert.equal(errors.half, errors.ninety);
});
