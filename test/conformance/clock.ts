/**
 * What every Clock must do.
 *
 *   clockConformance(name, make, { pass })
 *
 * `make()` gives a fresh Clock. `pass(clock, sleeping)` lets time go by until the promise settles: with a virtual clock
 * it drives the simulation, with the machine's it waits.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Clock } from '../../src/world/ports.ts';

export interface ClockOptions {
  readonly pass?: <T>(clock: Clock, waiting: Promise<T>) => Promise<T>;
}

export function clockConformance(
  name: string,
  make: () => Clock | Promise<Clock>,
  { pass = (_clock, waiting) => waiting }: ClockOptions = {},
): void {
  describe(`Clock: ${name}`, () => {
    test('now is whole milliseconds or finer after 1970 and before 3000', async () => {
      const now = (await make()).now();
      assert.ok(now > 0 && now < Date.UTC(3000, 0));
    });

    test('the monotonic clock goes on by a sleep, and never back', async () => {
      const clock = await make();
      const before = clock.monotonic();
      await pass(clock, clock.sleep(20));
      const after = clock.monotonic();
      assert.ok(after - before >= 20, `${after - before}`);
      assert.ok(clock.monotonic() >= after);
    });

    test('sleeps end in the order of their ends', async () => {
      const clock = await make();
      const woken: number[] = [];
      const sleeps = [30, 5, 15].map((ms) => clock.sleep(ms).then(() => woken.push(ms)));
      await pass(clock, Promise.all(sleeps));
      assert.deepEqual(woken, [5, 15, 30]);
    });

    test('a sleep of nothing, and of less, ends', async () => {
      const clock = await make();
      await pass(clock, Promise.all([clock.sleep(0), clock.sleep(-5)]));
    });

    test('a sleep ends at once, without an error, when its stop aborts', async () => {
      const clock = await make();
      const stop = new AbortController();
      const before = clock.monotonic();
      const sleeping = clock.sleep(3_600_000, stop.signal);
      stop.abort();
      await sleeping;
      assert.ok(clock.monotonic() - before < 3_000_000);
    });

    test('a sleep whose stop has aborted before does not begin', async () => {
      const clock = await make();
      await clock.sleep(3_600_000, AbortSignal.abort());
    });

    test('longer than a timer of the platform can be is not at once', async () => {
      const clock = await make();
      const stop = new AbortController();
      let over = false;
      const sleeping = clock.sleep(2 ** 33, stop.signal).then(() => (over = true));
      await pass(clock, clock.sleep(10));
      assert.equal(over, false);
      stop.abort();
      await sleeping;
    });

    test('the zone is an IANA name', async () => {
      const { zone } = await make();
      assert.match(zone, /^[A-Za-z][A-Za-z0-9_+\-/]*$/);
      assert.doesNotThrow(() => new Intl.DateTimeFormat('en', { timeZone: zone }));
    });
  });
}
