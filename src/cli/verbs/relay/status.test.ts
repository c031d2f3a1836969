import assert from 'node:assert/strict';
import { test } from 'node:test';
import { neverMeeting } from './status.ts';

test('S22: a relay whose hours never meet those of a node above says so, with both', () => {
  const now = Temporal.Instant.from('2026-03-02T09:00Z').epochMilliseconds;
  const state = {
    transfer: '10:00-12:00',
    transferZone: 'UTC',
    now,
    upstreams: [
      { name: 'tokyo', windows: '22:00-08:00', zone: 'Asia/Tokyo' },
      { name: 'oslo', windows: '11:00-15:00', zone: 'Europe/Oslo' },
      { name: 'rome', windows: null, zone: null },
    ],
  };
  const lines = neverMeeting(state);
  assert.equal(
    lines.join(' ').replaceAll(/\s+/g, ' ').trim(),
    "NOTHING can ever go to tokyo: this relay may send on 10:00-12:00 (UTC), tokyo collects 22:00-08:00 (Asia/Tokyo): change 'transfer' in relay.yaml, or 'windows' there",
  );
  assert.ok(lines.every((line) => line.length <= 100));
  assert.deepEqual(neverMeeting({ ...state, transfer: 'any' }), []);
});
