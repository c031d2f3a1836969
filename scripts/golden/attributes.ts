import { decodeAttributes, encodeAttributes } from '../../src/format/attributes.ts';
import type { Attributes } from '../../src/model/entries.ts';
import { hex } from './make.ts';

const EXAMPLES: Readonly<Record<string, Attributes>> = {
  'nothing but the platform': { xattrs: [], flags: 0 },
  'born before 1970': { xattrs: [], flags: 0, birth: -1n },
  'born after 2038': { xattrs: [], flags: 0, birth: 4_102_444_800_123_456_789n },
  'all that Linux has': {
    xattrs: [
      { name: 'user.comment', value: Buffer.from('no reply') },
      { name: 'security.capability', value: Buffer.from('0100000200200000000000000000000000000000', 'hex') },
      { name: 'system.posix_acl_access', value: Buffer.from('0200000001000600ffffffff', 'hex') },
      { name: 'system.posix_acl_default', value: Buffer.from('0200000001000700ffffffff', 'hex') },
      { name: 'user.\u00ff', value: Buffer.alloc(0) },
      { name: 'user.long', value: Buffer.alloc(300, 'x') },
    ],
    flags: 0x2080_0050,
    birth: 1_700_000_000_123_456_789n,
    owner: 'ann',
    group: 'gr\u00fcn',
  },
};

/** What a reader passes over or must refuse, as CBOR in hexadecimal. */
const OTHERS: Readonly<Record<string, string>> = {
  'an empty map': 'a0',
  'a key of a newer format': 'a2050118630a',
  'another platform': 'a203184005 03'.replace(' ', ''),
  'a time that is none': 'a204190100 0501'.replace(' ', ''),
};

/** F27. */
export function attributeVectors(): object {
  return {
    written: Object.entries(EXAMPLES).map(([name, attributes]) => {
      const extra = encodeAttributes(attributes);
      return { name, extra: hex(extra), meaning: attributesShown(decodeAttributes(extra)) };
    }),
    read: Object.entries(OTHERS).map(([name, extra]) => ({
      name,
      extra,
      meaning: attributesShown(decodeAttributes(Buffer.from(extra, 'hex'))),
    })),
    invalid: { 'no map': '80', 'cut off': 'a205', nothing: '' },
  };
}

/** For JSON. */
export function attributesShown(attributes: Attributes): object {
  const { birth, xattrs, ...rest } = attributes;
  return {
    ...rest,
    ...(birth === undefined ? {} : { birth: String(birth) }),
    xattrs: xattrs.map(({ name, value }) => [hex(Buffer.from(name, 'latin1')), hex(value)]),
  };
}
