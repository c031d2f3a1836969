import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DECLINE_REASONS } from '../protocol/center-api.ts';
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

it('what a machine declined is said in words', () => {
  for (const why of DECLINE_REASONS) assert.doesNotMatch(text('waiting', `declined-${why}`), /declined|not-/);
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
  assert.equal(text('stuck', 'revoked'), 'stuck: a node on the way has shut out who would send it (revoked)');
  assert.equal(
    text('stuck', 'damaged-receipt'),
    'stuck: a receipt came for it that does not count, which the log tells of: nothing was freed (damaged-receipt)',
  );
  assert.equal(text('stuck', 'sequence-fork'), 'stuck: tokyo refuses it (sequence-fork)');
  assert.equal(
    text('stuck', 'custody-lost'),
    "stuck: lost by the relay that had it: 'lowtide snapshots --lost' lists the files, " +
      'the next backup sends everything again (custody-lost)',
  );
  assert.equal(text('waiting', 'custody-lost'), 'lost by the relay that had it: it is sent again');
  assert.equal(text('held'), 'held by a relay only, on its way to tokyo');
  assert.equal(
    copyText(
      { phase: 'held', code: 'center-unreachable', until: null, since: now, holder: 'shop' },
      'tokyo',
      'UTC',
      now,
    ),
    'held by shop only, on its way to tokyo: out of reach since 22:00 UTC',
  );
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

it('a node on the way is named: what waits for it does not wait for the center, nor for who asks', () => {
  const copy = { phase: 'waiting', code: 'center-window', until } as const;
  const said = (more: Partial<Parameters<typeof copyText>[0]>): string =>
    copyText({ ...copy, ...more }, 'tokyo', 'UTC', now);
  assert.equal(said({ next: 'tokyo' }), "waiting for the center's window: opens 00:00 UTC");
  assert.equal(said({ next: 'kobe' }), "waiting for kobe's window: opens 00:00 UTC");
  assert.equal(said({ next: 'kobe', code: 'free-space', until: null }), 'kobe has too little free space');
  assert.equal(said({ next: 'kobe', code: 'client-window' }), 'waiting for your window: opens 00:00 UTC');
  const held = { phase: 'held', holder: 'kobe' } as const;
  const way = 'held by kobe only, on its way to tokyo: ';
  assert.equal(said({ ...held, next: 'osaka' }), `${way}waiting for osaka's window: opens 00:00 UTC`);
  assert.equal(said(held), `${way}waiting for the node above kobe's window: opens 00:00 UTC`);
  assert.equal(
    said({ ...held, next: 'osaka', code: 'no-shared-window', until: null }),
    `${way}kobe's windows and osaka's are not open together at any time of the next five weeks`,
  );
  assert.equal(said({ ...held, next: 'osaka', code: 'client-offline' }), `${way}kobe is offline`);
});

it('who looks after a node hears what brings the base: its computers may owe nothing there', () => {
  const behind = { phase: 'behind', code: 'base-unknown', until: null } as const;
  const said = (asker: 'agent' | 'node'): string => copyText(behind, 'naha', 'UTC', now, asker);
  assert.match(
    said('agent'),
    /^naha lacks what this snapshot builds on: the next backup sends everything again$/,
  );
  assert.match(
    said('node'),
    /^naha lacks what this snapshot builds on: 'lowtide center pull' there brings it, or/,
  );
  assert.doesNotMatch(said('node'), /the next backup/);
});

describe('when it is expected', () => {
  const minutes = (count: number): number => now + count * 60_000;
  const expected = { by: 'tokyo', at: now, place: 3, early: minutes(132.4), late: minutes(150.6) };
  const waiting = { phase: 'waiting', code: 'client-window', until } as const;
  const said = (more: object, later = 0): string =>
    copyText({ ...waiting, expected: { ...expected, ...more } }, 'tokyo', 'UTC', minutes(later));

  it('stands behind what it waits for, with its place', () => {
    assert.equal(said({}), 'waiting for your window: opens 00:00 UTC, expected 00:12-00:31, third in line');
    assert.match(said({ place: null, early: minutes(0) }), /opens 00:00 UTC, expected by 00:31$/);
    assert.match(said({ late: minutes(2000) }), /expected 00:12-2026-03-04 07:20, third in line$/);
  });

  it('names the relay that expects it', () => {
    assert.match(said({ by: 'shop' }), /, expected at shop 00:12-00:31, third in line$/);
  });

  it('says when it was told, if that is a while ago', () => {
    assert.match(said({}, 40), /, expected 00:12-00:31, third in line \(told 22:00\)$/);
  });

  it('is told of what travels and of what a relay holds', () => {
    const travelling = {
      phase: 'in-transit',
      code: 'running',
      until,
      expected: { ...expected, place: 0 },
    } as const;
    assert.equal(
      copyText(travelling, 'tokyo', 'UTC', now),
      'travelling to tokyo (the windows are open until 00:00 UTC), expected 00:12-00:31',
    );
    const held = { phase: 'held', code: 'client-window', until, holder: 'shop', expected } as const;
    assert.match(
      copyText(held, 'tokyo', 'UTC', now),
      /the hours of shop: opens 00:00 UTC, expected 00:12-00:31/,
    );
  });
});
