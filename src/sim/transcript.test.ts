import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CenterId, ClientId, OrderId, SnapshotId } from '../model/ids.ts';
import { MINUTE_MS } from '../model/time.ts';
import { SimulatedNode } from './node.ts';
import { Simulation } from './simulation.ts';
import { transcript } from './transcript.ts';

const client = 'c1'.repeat(16) as ClientId;
const center = 'ce'.repeat(16) as CenterId;
const snapshot = '5a'.repeat(32) as SnapshotId;
const order = '0d'.repeat(16) as OrderId;

test('a transcript tells events by local time, in names that people know', async () => {
  const simulation = new Simulation({ seed: 1, start: Date.UTC(2026, 6, 1, 14, 59) });
  const ann = new SimulatedNode(simulation, { name: 'ann-laptop' }).boot();
  const hub = new SimulatedNode(simulation, { name: 'center' }).boot();
  ann.monitor.event({
    kind: 'taken',
    job: 'docs',
    snapshot,
    files: 3,
    bytes: 10,
    spooled: 9,
    partial: true,
    problems: 1,
  });
  ann.monitor.problem({ path: '/home/a', code: 'source-unreadable', message: 'no', severity: 'error' });
  await simulation.run({ for: MINUTE_MS });
  hub.monitor.event({ kind: 'ordered', client, snapshot, order });
  ann.monitor.event({ kind: 'disconnected', center, code: 'center-unreachable', message: 'gone' });
  ann.monitor.event({ kind: 'voided', snapshot: '6b'.repeat(32) as SnapshotId, code: 'forbidden' });
  const names = new Map<string, string>([
    [client, 'ann-laptop'],
    [center, 'hub'],
  ]);
  const { records } = simulation.recorder;
  assert.deepEqual(transcript(records, { zone: 'Asia/Tokyo', names }), [
    '-- 2026-07-01',
    '23:59:00 ann-laptop taken docs#1 files=3 bytes=10 spooled=9 partial problems=1',
    '23:59:00 ann-laptop error /home/a source-unreadable: no',
    '-- 2026-07-02',
    '00:00:00 center ordered ann-laptop docs#1',
    '00:00:00 ann-laptop disconnected hub center-unreachable (gone)',
    '00:00:00 ann-laptop voided 6b6b6b6b forbidden',
  ]);
  const include = ({ node }: { node: string }): boolean => node === 'center';
  assert.deepEqual(transcript(records, { zone: 'UTC', names, include }), [
    '-- 2026-07-01',
    '15:00:00 center ordered ann-laptop docs#1',
  ]);
});
