import assert from 'node:assert/strict';
import { it } from 'node:test';
import { LowtideError } from '../model/errors.ts';
import { realWorld } from '../world/real-world.ts';
import { Output } from './output.ts';
import { whenFree } from './when-free.ts';

const context = {
  world: realWorld({ monitor: { event() {}, problem() {}, progress() {} } }),
  output: new Output({ json: false, quiet: true }),
  stop: new AbortController().signal,
};
const never = async (): Promise<boolean> => false;

/** Succeeds at the `last` attempt. */
function opening(last: number, error: LowtideError): { open: () => Promise<number>; attempts: () => number } {
  let attempts = 0;
  const open = async (): Promise<number> => {
    if (++attempts < last) throw error;
    return attempts;
  };
  return { open, attempts: () => attempts };
}

it('what is locked is tried again until it is free', async () => {
  const { open } = opening(3, new LowtideError('locked', 'in use'));
  assert.equal(await whenFree(context, open, never), 3);
});

it('is not waited for where that is no use, nor if something else is wrong', async () => {
  const running = opening(2, new LowtideError('locked', 'in use'));
  await assert.rejects(
    whenFree(context, running.open, async () => true),
    { code: 'locked' },
  );
  const damaged = opening(2, new LowtideError('damaged-config', 'both copies'));
  await assert.rejects(whenFree(context, damaged.open, never), { code: 'damaged-config' });
  assert.deepEqual([running.attempts(), damaged.attempts()], [1, 1]);
});

it('is waited for no longer than until the command is stopped', async () => {
  const { open, attempts } = opening(9, new LowtideError('locked', 'in use'));
  const stop = AbortSignal.abort(new LowtideError('interrupted', 'interrupted'));
  await assert.rejects(whenFree({ ...context, stop }, open, never), { code: 'interrupted' });
  assert.equal(attempts(), 1);
});
