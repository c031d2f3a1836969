import assert from 'node:assert/strict';
import { test } from 'node:test';
import { collectingMonitor, silentMonitor } from './monitor.ts';

test('a collecting monitor keeps events and problems in order, and the last progress of each work', () => {
  const monitor = collectingMonitor();
  monitor.event({ kind: 'started', role: 'agent', name: 'a' });
  monitor.event({ kind: 'stopped', role: 'agent', name: 'a' });
  monitor.problem({ path: '/a', code: 'source-unreadable', message: 'm', severity: 'error' });
  monitor.progress({ doing: 'backup', files: 1, bytes: 1 });
  monitor.progress({ doing: 'backup', files: 2, bytes: 2 });
  assert.deepEqual(
    monitor.events.map(({ kind }) => kind),
    ['started', 'stopped'],
  );
  assert.equal(monitor.problems.length, 1);
  assert.equal(monitor.progressOf.get('backup')?.files, 2);
});

test('a silent monitor takes everything', () => {
  silentMonitor.event({ kind: 'started', role: 'agent', name: 'a' });
  silentMonitor.progress({ doing: 'backup', files: 1, bytes: 1 });
});
