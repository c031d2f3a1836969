import assert from 'node:assert/strict';
import { createCipheriv, createHmac, hkdfSync } from 'node:crypto';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { openBox, sealBox } from './siv-box.ts';
import { refusedAs, secretOf } from './test-support.ts';

const key = secretOf('box key');
const CONTEXT = 'lowtide/test/1';
const open = (box: Uint8Array, with_ = key, context = CONTEXT) =>
  openBox(with_, context, box, 'damaged-keyring', 'the test box does not open');

/** A second writer, straight from docs/format.md. */
function secondBox(context: string, payload: Uint8Array, tagBytes = 16, siv?: Uint8Array): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(Buffer.byteLength(context));
  const sivKey = Buffer.from(hkdfSync('sha256', key, '', 'lowtide/1/box-siv', 32));
  const iv = siv ?? createHmac('sha256', sivKey).update(length).update(context).update(payload).digest();
  const sealKey = Buffer.from(hkdfSync('sha256', key, iv, 'lowtide/1/box-seal', 32));
  const cipher = createCipheriv('aes-256-gcm', sealKey, Buffer.alloc(12));
  cipher.setAAD(Buffer.from(context));
  const sealed = cipher.update(payload);
  cipher.final();
  return Buffer.concat([iv, sealed, cipher.getAuthTag().subarray(0, tagBytes)]);
}

describe('sealed boxes (format F50)', () => {
  it('F50: any payload opens again; the same payload gives the same box', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 500 }), (payload) => {
        const box = sealBox(key, CONTEXT, payload);
        assert.deepEqual(new Uint8Array(open(box)), new Uint8Array(payload));
        assert.deepEqual(Buffer.from(box), secondBox(CONTEXT, payload));
      }),
    );
  });

  it('F50: another key, another context, a changed bit and a cut box are refused', () => {
    const box = sealBox(key, CONTEXT, Buffer.from('a secret'));
    assert.throws(() => open(box, secretOf('other')), refusedAs('damaged-keyring'));
    assert.throws(() => open(box, key, 'lowtide/test/2'), refusedAs('damaged-keyring'));
    for (let bit = 0; bit < box.length * 8; bit++) {
      const changed = Buffer.from(box);
      changed[bit >> 3]! ^= 1 << (bit & 7);
      assert.throws(() => open(changed), refusedAs('damaged-keyring'));
    }
    for (let length = 0; length < box.length; length++) {
      assert.throws(() => open(box.subarray(0, length)), refusedAs('damaged-keyring'));
    }
  });

  it('F50: short tags and a siv of another payload are refused', () => {
    const payload = Buffer.from('a longer secret than a tag is');
    for (const tagBytes of [4, 8, 12, 15]) {
      assert.throws(() => open(secondBox(CONTEXT, payload, tagBytes)), refusedAs('damaged-keyring'));
    }
    assert.throws(() => open(secondBox(CONTEXT, payload, 16, secretOf('siv'))), refusedAs('damaged-keyring'));
  });

  it('F50: one siv, one context and payload', () => {
    const sivs = new Map<string, string>();
    for (const context of ['a', 'ab', 'abc']) {
      for (const payload of ['', 'b', 'bc', 'c', 'ab', 'abc', '\0', '\0\0']) {
        const box = Buffer.from(sealBox(key, context, Buffer.from(payload)));
        const siv = box.toString('hex', 0, 32);
        assert.equal(sivs.get(siv), undefined);
        sivs.set(siv, `${context} ${payload}`);
      }
    }
    assert.equal(sivs.size, 24);
  });
});
