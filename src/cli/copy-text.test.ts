import assert from 'node:assert/strict';
import { it } from 'node:test';
import { copyText } from './copy-text.ts';

const now = Date.UTC(2026, 2, 2, 22);
const until = Date.UTC(2026, 2, 3, 0);
const text = (phase: Parameters<typeof copyText>[0]['phase'], code = '', at: number | null = null): string =>
  copyText({ phase, code, until: at }, 'tokyo', 'UTC', now);

it('a copy that waits says for what and until when', () => {
  assert.equal(text('waiting', 'client-window', until), 'waiting for your window: opens 00:00 UTC');
  assert.equal(text('waiting', 'center-window', until), "waiting for the center's window: opens 00:00 UTC");
  assert.equal(text('waiting'), 'not offered to tokyo yet');
  assert.equal(text('waiting', 'order-idle'), 'the transfer stood still and is tried again');
  assert.equal(text('waiting', 'something-new'), 'something-new');
});

it('only what is receipted is called safe (promise P6)', () => {
  assert.equal(text('safe'), 'safe at tokyo');
  const others = ['waiting', 'in-transit', 'held', 'behind', 'stuck', 'void'] as const;
  for (const phase of others) assert.doesNotMatch(text(phase, 'base-unknown'), /safe/);
});

it('what needs a person or everything again says so', () => {
  assert.match(
    text('behind', 'center-went-back'),
    /^tokyo had it and lost it: the next backup sends everything/,
  );
  assert.equal(text('stuck', 'sequence-fork'), 'stuck: tokyo refuses it (sequence-fork)');
  assert.equal(text('held'), 'held by a relay only, on its way to tokyo');
  assert.equal(text('void', 'voided'), 'given up by its owner');
  assert.equal(
    copyText({ phase: 'held', code: 'client-window', until, holder: 'osaka' }, 'tokyo', 'UTC', now),
    'held by osaka only, on its way to tokyo: waiting for the hours of osaka: opens 00:00 UTC',
  );
  assert.equal(
    text('in-transit', 'running', until),
    'travelling to tokyo (the windows are open until 00:00 UTC)',
  );
});
