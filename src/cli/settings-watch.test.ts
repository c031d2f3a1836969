import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LowtideError } from '../model/errors.ts';
import { MINUTE_MS } from '../model/time.ts';
import type { Clock } from '../world/ports.ts';
import { watchSettings } from './settings-watch.ts';

test('what is changed in the file is told once, conditions only if they changed, a minute later', async () => {
  const conditions = (windows: string) => ({ windows, zone: 'UTC', streams: 1 });
  const files = [
    { conditions: conditions('any'), transfer: 'any' },
    { conditions: conditions('any'), transfer: '20:00-06:00' },
    { conditions: conditions('22:00-06:00'), transfer: '20:00-06:00' },
    { conditions: conditions('23:00-23:00'), transfer: '20:00-06:00' },
    { conditions: conditions('never'), transfer: '20:00-06:00' },
    { conditions: conditions('never'), transfer: '20:00-06:00' },
  ];
  const happened: string[] = [];
  const end = new AbortController();
  let minute = 0;
  const clock: Clock = {
    now: () => 0,
    monotonic: () => 0,
    zone: 'UTC',
    async sleep(ms) {
      assert.equal(ms, MINUTE_MS);
      minute++;
      if (minute === files.length) end.abort();
    },
  };
  const settings = {
    refresh: async () => files[minute]!,
    onChange: () => void happened.push(`${minute} changed`),
    setConditions({ windows }: { readonly windows: string }) {
      happened.push(`${minute} ${windows}`);
      if (windows === '23:00-23:00') throw new LowtideError('bad-config', 'no time at all');
    },
  };
  await watchSettings(clock, settings, files[0]!.conditions, end.signal);
  const expected = [
    '1 changed',
    '2 changed',
    '2 22:00-06:00',
    '3 changed',
    '3 23:00-23:00',
    '4 changed',
    '4 never',
  ];
  assert.deepEqual(happened, expected);
});
