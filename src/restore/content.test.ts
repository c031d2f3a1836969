import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sealBlock } from '../format/block.ts';
import { chunkDigest, deriveDomainKeys } from '../format/domain-keys.ts';
import { isLowtideError } from '../model/errors.ts';
import { limits } from '../model/limits.ts';
import { openContent } from './content.ts';

const keys = deriveDomainKeys(Buffer.alloc(32, 1));
const seal = (payload: Uint8Array) => sealBlock(keys, payload, { type: 'data', level: 0 });

/** All of a block that came under the id of another one, which holds the same. */
function opened(mustHash: boolean): unknown {
  const payload = Buffer.from('the same content');
  const [named, came] = [seal(Buffer.from('another block')), seal(payload)];
  const [content] = openContent({
    epochs: [keys],
    blockBytesMax: limits.block_bytes_max,
    ids: [named.id],
    mustHash: [mustHash],
    blocks: [new Uint8Array(came.bytes)],
    places: [0, 0, payload.length],
    digests: chunkDigest(keys, payload),
    inline: [],
  });
  return content;
}

test('a block that must be hashed is compared with its id before it is opened', () => {
  const refused = opened(true);
  assert.ok(isLowtideError(refused, 'hash-mismatch'));
  assert.match(refused.message, /does not hash to its id/);
  assert.equal(Buffer.from(opened(false) as Uint8Array).toString(), 'the same content');
});
