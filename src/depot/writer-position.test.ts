import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SealedBlock } from '../format/block.ts';
import { equalBytes } from '../model/bytes.ts';
import { block, blocks, newDepot, newNode } from '../../test/support/depot-kit.ts';

test('a writer says where in its pack a block will be: in each group and pack, and in groups after a failure', async () => {
  const node = newNode();
  const writer = (await newDepot(node.boot())).writer('shared');
  const packs = (): string[] => node.disk.paths().filter((path) => path.endsWith('.pack'));
  const isAt = ({ bytes }: SealedBlock, position: number): boolean =>
    packs().some((path) =>
      equalBytes(node.disk.bytesOf(path).subarray(position, position + bytes.length), bytes),
    );
  const said: { readonly added: SealedBlock; readonly position: number }[] = [];
  for (const added of blocks(200)) {
    said.push({ added, position: writer.position });
    await writer.add(added);
  }
  await writer.flush();
  assert.ok(packs().length > 1);
  for (const { added, position } of said) assert.ok(isAt(added, position));

  node.faults.inject({ kind: 'disk.sync', path: '.pack' });
  await writer.add(block('failed'));
  await writer.flush();
  // What the writer said of this one was of the pack that had to be given up.
  await writer.add(block('between'));
  await writer.flush();
  const { position } = writer;
  await writer.add(block('after'));
  await writer.flush();
  assert.ok(isAt(block('after'), position));
});
