import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { Event } from '../../model/events.ts';
import type { World } from '../../world/ports.ts';
import { NotWhile } from './not-while.ts';

/** A machine whose programs end as the test says. */
function machine(statuses: Record<string, number>) {
  let now = 0;
  const events: Event[] = [];
  const asked: string[] = [];
  const world = {
    clock: {
      monotonic: () => now,
      sleep: async (ms: number) => {
        now += ms;
      },
    },
    monitor: { event: (event: Event) => events.push(event) },
    commands: {
      run: async ({ words }: { words: readonly string[] }) => {
        asked.push(words[0]!);
        const status = statuses[words[0]!] ?? 127;
        return { ok: status === 0, status, how: `it ended with status ${status}`, said: '' };
      },
    },
  } as unknown as World;
  return { world, events, asked, pass: (ms: number) => (now += ms) };
}

it('S77: nothing is sent while any of the programs says so, and which one it is is told', async () => {
  const statuses: Record<string, number> = { '/a': 1, '/b': 0 };
  const { world, pass, asked, events } = machine(statuses);
  const programs = () => [['/a'], ['/b', '-x']];
  const notWhile = new NotWhile({ world, programs, waits: async () => true, onChange: () => {} });
  assert.equal(await notWhile.holds(), true);
  assert.equal(notWhile.says, '/b -x');
  statuses['/b'] = 1;
  assert.equal(await notWhile.holds(), true, 'nobody is asked every moment');
  assert.deepEqual(asked, ['/a', '/b']);
  pass(10_000);
  assert.equal(await notWhile.holds(), false);
  statuses['/a'] = 3;
  for (let times = 0; times < 3; times++) {
    pass(10_000);
    assert.equal(await notWhile.holds(), false, 'what says nothing holds nobody up');
  }
  assert.deepEqual(
    events.map((event) => event.kind === 'alarm' && event.code),
    ['hook-failed'],
  );
});

it('S77: while nothing waits to be sent nobody is asked; a change is told at once', async () => {
  const statuses: Record<string, number> = { '/a': 0 };
  const { world, asked } = machine(statuses);
  const stop = new AbortController();
  let waiting = false;
  let looks = 0;
  const changes: (string | null)[] = [];
  const notWhile: NotWhile = new NotWhile({
    world,
    programs: () => [['/a']],
    waits: async () => {
      looks++;
      if (looks === 3) waiting = true;
      if (looks === 5) statuses['/a'] = 1;
      if (looks === 7) stop.abort();
      return waiting;
    },
    onChange: () => changes.push(notWhile.says),
  });
  await notWhile.run(stop.signal);
  assert.ok(asked.length <= 5);
  assert.deepEqual(changes, ['/a', null]);
});
