import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Secret } from '../format/keyring-slots.ts';
import { isLowtideError } from '../model/errors.ts';
import { tinyLimits } from '../model/limits.ts';
import { passphraseKeyBeside } from '../format/passphrase-key.ts';
import type { World } from '../world/ports.ts';
import { realWorld } from '../world/real-world.ts';
import { initAlone, openAlone, signerOf } from './alone/alone.ts';
import { addKey } from './keys.ts';
import { beginUnlocking } from './unlocking.ts';

const directory = mkdtempSync(join(tmpdir(), 'lowtide-unlocking-'));
test.after(() => rmSync(directory, { recursive: true }));

const secretOf = (passphrase: string): Secret => ({ kind: 'passphrase', passphrase });
const code = (expected: string) => (error: unknown) => isLowtideError(error) && error.code === expected;

const monitor = { event: () => {}, problem: () => {}, progress: () => {} };
const world: World = realWorld({ monitor, limits: tinyLimits });

test('a password that was begun with is derived once, and the depot is opened meanwhile', async () => {
  const path = join(directory, 'once');
  await initAlone(world, path, 'kueste');
  let derived = 0;
  const mayEnd = Promise.withResolvers<void>();
  const begun = await beginUnlocking(world, path, secretOf('kueste'), async (input) => {
    derived++;
    await mayEnd.promise;
    return await passphraseKeyBeside(input);
  });
  assert.equal(derived, 1);
  const open = (index: string) => {
    mayEnd.resolve();
    return world.databases.open(index);
  };
  const opening: World = { ...world, databases: { ...world.databases, open } };
  const { depot, keyring } = await openAlone(opening, path, secretOf('kueste'), 'write', begun);
  await depot.close();
  assert.deepEqual(keyring.signed.hash, begun.keyrings[0]!.hash);
  assert.equal(derived, 1);
});

test('a wrong password and a place without a depot are told by who opens it', async () => {
  const path = join(directory, 'wrong');
  const nowhere = await beginUnlocking(world, path, secretOf('kueste'));
  await assert.rejects(openAlone(world, path, secretOf('kueste'), 'read', nowhere), code('not-a-depot'));
  await initAlone(world, path, 'kueste');
  const begun = await beginUnlocking(world, path, secretOf('wueste'));
  await assert.rejects(openAlone(world, path, secretOf('wueste'), 'read', begun), code('wrong-password'));
});

test('a keyring that was changed before the depot was locked is the one that counts', async () => {
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
