import assert from 'node:assert/strict';
import { it } from 'node:test';
import { CollectKit } from '../../../test/support/collect-kit.ts';
import { isLowtideError } from '../../model/errors.ts';
import { DAY_MS } from '../../model/time.ts';
import { forecastOf } from './forecast.ts';

it('the night of a date ends with the window that begins from its noon on; what is no date alone is refused', async () => {
  const kit = await CollectKit.make({
    conditions: { windows: '22:00-06:00', zone: 'Europe/London', streams: 1 },
  });
  const { now } = kit.simulation;
  const today = Temporal.Instant.fromEpochMilliseconds(now).toZonedDateTimeISO('Europe/London').toPlainDate();
  const ask = (night: string) => forecastOf(kit.collector, { night, everybody: true }, now);
  const { nightEnd } = ask(today.toString())!;
  const end = Temporal.Instant.fromEpochMilliseconds(nightEnd).toZonedDateTimeISO('Europe/London');
  assert.equal(end.toPlainDateTime().toString(), `${today.add({ days: 1 }).toString()}T06:00:00`);
  const wrong = [
    'tomorrow',
    '2026-02-30',
    `${today.toString()}T10:00`,
    `${today.toString()}[Asia/Tokyo]`,
    '',
  ];
  const far = [today.subtract({ days: 2 }), today.add({ days: 20 })].map(String);
  for (const night of [...wrong, ...far]) {
    assert.throws(
      () => ask(night),
      (error) => isLowtideError(error, 'bad-request'),
      night,
    );
  }
  assert.ok(nightEnd - now < 2 * DAY_MS);
});
