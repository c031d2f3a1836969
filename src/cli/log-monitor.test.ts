import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { JoinedCenter } from '../identity/client-identity.ts';
import type { Event } from '../model/events.ts';
import type { CenterFace } from '../model/exchange.ts';
import type { CenterId, ClientId, OrderId, SnapshotId } from '../model/ids.ts';
import { describe, learnCenters, LogMonitor } from './log-monitor.ts';
import { Output } from './output.ts';

const snapshot = 'abcdef0123456789'.repeat(4) as SnapshotId;
const center = '1'.repeat(32) as CenterId;
const client = '2'.repeat(32) as ClientId;
const order = '3'.repeat(32) as OrderId;
const names: Record<string, string> = { [center]: 'tokyo', [client]: 'ann' };
const say = (event: Event): string => describe(event, (id) => names[id] ?? id);

it('events name centers and computers as people do', () => {
  assert.equal(say({ kind: 'connected', center }), 'to tokyo');
  assert.equal(say({ kind: 'ordered', client, snapshot, order }), 'ann to send abcdef012345');
  assert.equal(
    say({ kind: 'reception', client, job: 'docs', snapshot, bytes: 2048 }),
    'ann offers docs abcdef012345, 2.0 KiB',
  );
});

it("a relay's receipt is not taken for a center's, and the centers behind it have names", () => {
  assert.equal(say({ kind: 'receipted', snapshot, center, receipt: 'center' }), 'abcdef012345 by tokyo');
  const custody = { kind: 'receipted', snapshot, center, receipt: 'custody' } as const;
  assert.equal(say(custody), 'abcdef012345 by tokyo, which has it in custody');
  const log = new LogMonitor(new Output({ json: false, quiet: true }), 'UTC');
  const faceOf = (name: string) => ({ id: name.repeat(8), name }) as unknown as CenterFace;
  const shop = { face: faceOf('shop'), centers: [faceOf('oslo'), faceOf('kobe')] } as unknown as JoinedCenter;
  learnCenters(log, { centers: [shop] });
  assert.deepEqual([...log.names.values()], ['shop', 'oslo', 'kobe']);
});

it('a backup that is not whole says so', () => {
  const taken = { kind: 'taken', job: 'docs', snapshot, files: 1, bytes: 10, spooled: 5 } as const;
  assert.equal(
    say({ ...taken, partial: false, problems: 0 }),
    'docs abcdef012345: 1 file, 10 B; 5 B spooled',
  );
  assert.equal(
    say({ ...taken, partial: true, problems: 2 }),
    'docs abcdef012345: 1 file, 10 B; 5 B spooled (partial: the spool is full; 2 entries could not be read)',
  );
});

it('alarms and refusals carry their code', () => {
  assert.equal(
    say({ kind: 'alarm', code: 'clock-off', message: 'this clock is off' }),
    'this clock is off (clock-off)',
  );
  assert.equal(
    say({ kind: 'disconnected', center, code: 'center-unreachable', message: 'nobody answers' }),
    'from tokyo: nobody answers (center-unreachable)',
  );
});
