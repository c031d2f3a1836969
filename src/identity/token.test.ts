import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { encodeCbor } from '../format/cbor.ts';
import { isLowtideError } from '../model/errors.ts';
import type { CenterId } from '../model/ids.ts';
import { formatAddress, ipBytes, normalHost, parseAddress } from './addresses.ts';
import { centerFace, describeToken, formatToken, type JoinToken, parseToken, secretHash } from './token.ts';

const tokyo = centerFace('tokyo', new Uint8Array(32).fill(1));
const osaka = centerFace('osaka', new Uint8Array(32).fill(2));
const token: JoinToken = {
  addresses: [
    { host: 'backup.example.org', port: 8420 },
    { host: '2001:db8::1', port: 8420 },
  ],
  caHash: 'ab'.repeat(32),
  center: tokyo.id,
  kind: 'center',
  centers: [tokyo],
  secret: new Uint8Array(32).fill(7),
  expires: 1_800_000_000_000,
  name: 'ann-laptop',
  role: 'agent',
};

test('a token says the same after a journey through mail', () => {
  const text = formatToken(token);
  assert.match(text, /^lt1_[A-Za-z0-9_-]+$/);
  assert.deepEqual(parseToken(text), token);
  assert.deepEqual(parseToken(` ${text.slice(0, 70)}\r\n${text.slice(70)}\n`), token);
});

test('a relay’s token names the centers that it leads to; a center’s names itself', () => {
  const relay: JoinToken = {
    ...token,
    center: 'cd'.repeat(16) as CenterId,
    kind: 'relay',
    centers: [tokyo, osaka],
  };
  assert.deepEqual(parseToken(formatToken(relay)), relay);
  assert.deepEqual(describeToken(relay, 0).centers, ['tokyo', 'osaka']);
  for (const wrong of [{ centers: [] }, { kind: 'center' as const }, { kind: 'other' as 'relay' }]) {
    assert.throws(() => parseToken(formatToken({ ...relay, ...wrong })), { code: 'token-bad' });
  }
  assert.throws(() => parseToken(formatToken({ ...token, centers: [osaka] })), { code: 'token-bad' });
});

test('any single wrong, lost or doubled character is told apart as mistyped', () => {
  const text = formatToken(token);
  fc.assert(
    fc.property(
      fc.integer({ min: 4, max: text.length - 1 }),
      fc.constantFrom('A', 'z', '0', '_', '-', '', 'AB', '=', '+', 'é'),
      (at, wrong) => {
        fc.pre(text[at] !== wrong);
        const typed = text.slice(0, at) + wrong + text.slice(at + 1);
        fc.pre(typed !== text);
        assert.throws(() => parseToken(typed), { code: 'token-bad' });
      },
    ),
  );
});

test('what is no token, or has fields that no center writes, is refused', () => {
  for (const text of ['', 'lt1_', 'lt2_abcd', 'lt1_!!!!', 'lt1_AAAAAAA', 'x'.repeat(10_000)]) {
    assert.throws(() => parseToken(text), { code: 'token-bad' });
  }
  const nowhere = { ...token, addresses: [{ host: 'a b', port: 0 }] };
  assert.throws(() => parseToken(formatToken(nowhere)), { code: 'token-bad' });
  const empty = { ...token, addresses: [] };
  assert.throws(() => parseToken(formatToken(empty)), { code: 'token-bad' });
  assert.throws(() => parseToken(formatToken({ ...token, secret: new Uint8Array(8) })), {
    code: 'token-bad',
  });
  assert.throws(() => parseToken(formatToken({ ...token, role: 'owner' as 'agent' })), { code: 'token-bad' });
});

test('no bytes in a token do anything but parse or token-bad (faults 28)', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (bytes, wrapped) => {
      const text = 'lt1_' + Buffer.from(wrapped ? encodeCbor([bytes]) : bytes).toString('base64url');
      assert.throws(
        () => parseToken(text),
        (error) => isLowtideError(error, 'token-bad'),
      );
    }),
  );
});

test('a description shows everything but the secret', () => {
  const shown = describeToken(token, token.expires - 1);
  assert.equal(shown.expired, false);
  assert.equal(describeToken(token, token.expires).expired, true);
  assert.deepEqual(shown.addresses, ['backup.example.org:8420', '[2001:db8::1]:8420']);
  const text = JSON.stringify(shown);
  assert.ok(!text.includes(Buffer.from(token.secret).toString('hex')));
  assert.ok(!text.includes(secretHash(token.secret)));
});

test('addresses have one spelling', () => {
  assert.equal(formatAddress(parseAddress('Backup.Example.org:1')), 'backup.example.org:1');
  assert.equal(formatAddress(parseAddress('[2001:DB8:0::1]:65535')), '[2001:db8::1]:65535');
  assert.equal(formatAddress(parseAddress('10.0.0.1', 8420)), '10.0.0.1:8420');
  assert.equal(ipBytes('::ffff:10.0.0.1')?.toString('hex'), '00000000000000000000ffff0a000001');
  assert.equal(ipBytes('fe80::1')?.length, 16);
  assert.equal(normalHost('1.2.3.256'), null);
  for (const text of [
    '',
    'a',
    'a:0',
    'a:65536',
    '::1:80',
    '[::1]',
    '[zz]:1',
    'a b:1',
    '-a:1',
    'a..b:1',
    'x@y:1',
    '1.2.3:4',
  ]) {
    assert.throws(() => parseAddress(text), { code: 'bad-name' }, text);
  }
});
