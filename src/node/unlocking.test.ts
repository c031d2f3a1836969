import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Secret } from '../format/keyring-slots.ts';
import { isLowtideError } from '../model/errors.ts';
import { tinyLimits } from '../model/limits.ts';
import { inlineWork } from '../world/inline-work.ts';
import type { Task, World } from '../world/ports.ts';
import { realWorld } from '../world/real-world.ts';
import { initAlone, openAlone, signerOf } from './alone.ts';
import { addKey } from './keys.ts';
import { beginUnlocking } from './unlocking.ts';

const directory = mkdtempSync(join(tmpdir(), 'lowtide-unlocking-'));
test.after(() => rmSync(directory, { recursive: true }));

const secretOf = (passphrase: string): Secret => ({ kind: 'passphrase', passphrase });
const code = (expected: string) => (error: unknown) => isLowtideError(error) && error.code === expected;

/** A world that notes which tasks its threads would be given. */
function worldOf(): { readonly world: World; readonly tasks: string[] } {
  const tasks: string[] = [];
  const inline = inlineWork();
  const monitor = { event: () => {}, problem: () => {}, progress: () => {} };
  const run = <Input, Output>(task: Task<Input, Output>, input: Input): Promise<Output> => {
    tasks.push(task.name);
    return inline.run(task, input);
  };
  return { world: { ...realWorld({ monitor, limits: tinyLimits }), work: { ...inline, run } }, tasks };
}

test('a password that was begun with is derived once, in a thread, before the depot is open', async () => {
  const { world, tasks } = worldOf();
  const path = join(directory, 'once');
  await initAlone(world, path, 'kueste');
  const begun = await beginUnlocking(world, path, secretOf('kueste'));
  assert.deepEqual(tasks, ['passphraseKey']);
  const { depot, keyring } = await openAlone(world, path, secretOf('kueste'), 'write', begun);
  await depot.close();
  assert.deepEqual(keyring.signed.hash, begun.keyrings[0]!.hash);
  assert.deepEqual(tasks, ['passphraseKey']);
});

test('a wrong password and a place without a depot are told by who opens it', async () => {
  const { world, tasks } = worldOf();
  const path = join(directory, 'wrong');
  const nowhere = await beginUnlocking(world, path, secretOf('kueste'));
  await assert.rejects(openAlone(world, path, secretOf('kueste'), 'read', nowhere), code('not-a-depot'));
  assert.deepEqual(tasks, []);
  await initAlone(world, path, 'kueste');
  const begun = await beginUnlocking(world, path, secretOf('wueste'));
  await assert.rejects(openAlone(world, path, secretOf('wueste'), 'read', begun), code('wrong-password'));
});

test('a keyring that was changed before the depot was locked is the one that counts', async () => {
  const { world } = worldOf();
  const path = join(directory, 'changed');
  await initAlone(world, path, 'kueste');
  const begun = await beginUnlocking(world, path, secretOf('kueste'));
  const other = await openAlone(world, path, secretOf('kueste'), 'write');
  const desk = { world, ...other, signingKey: signerOf(other.keyring) };
  const added = await addKey(desk, { kind: 'passphrase', label: 'second', passphrase: 'ebbe' });
  await other.depot.close();
  const { depot, keyring } = await openAlone(world, path, secretOf('kueste'), 'write', begun);
  await depot.close();
  assert.equal(keyring.signed.hash, added.keyring.signed.hash);
});
