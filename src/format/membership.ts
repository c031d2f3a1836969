import { bytesOfHex, hexOf } from '../model/bytes.ts';
import { LowtideError } from '../model/errors.ts';
import type { CenterId, ClientId } from '../model/ids.ts';
import type { UnixMillis } from '../model/time.ts';
import { decodeCbor, encodeCbor } from './cbor.ts';
import { bytesOf, count, literal, orNull, record } from './shape.ts';
import {
  checkSignature,
  clientIdOf,
  parseRecord,
  type SignedRecord,
  type SigningKey,
  signRecord,
} from './signing.ts';

/**
 * A machine's signed word that it has joined a node (format F61). A relay passes it on above, so that nodes which never
 * met the machine take its snapshots from that relay, and from no other.
 */
export interface Membership {
  readonly client: ClientId;
  /** Ed25519, 32 bytes; its name is `client`. */
  readonly instanceKey: Uint8Array;
  /** The node that it joined. */
  readonly joined: CenterId;
  /** What it is called as a node itself, if it is a relay. */
  readonly node: CenterId | null;
  readonly at: UnixMillis;
}

const bodyShape = record({
  format: literal(1),
  client: bytesOf(16),
  instanceKey: bytesOf(32),
  joined: bytesOf(16),
  node: orNull(bytesOf(16)),
  at: count,
});

export function signMembership(membership: Membership, key: SigningKey): Uint8Array {
  const { client, joined, node } = membership;
  const body = encodeCbor({
    format: 1,
    ...membership,
    client: bytesOfHex(client),
    joined: bytesOfHex(joined),
    node: node === null ? null : bytesOfHex(node),
  });
  return signRecord('membership', body, key);
}

/**
 * The membership, if it is signed by the key that it names and that names the client: nobody else need be believed.
 * @throws LowtideError `bad-request`, `wrong-signature`, `newer-format`
 */
export function openMembership(bytes: Uint8Array): Membership {
  const record = parseRecord('membership', bytes, 'bad-request');
  const { format, ...body } = decodeCbor(record.body, bodyShape, 'bad-request', 'the membership');
  void format;
  const membership: Membership = {
    ...body,
    client: hexOf(body.client) as ClientId,
    joined: hexOf(body.joined) as CenterId,
    node: body.node === null ? null : (hexOf(body.node) as CenterId),
  };
  checkOwnWord('membership', record, membership);
  return membership;
}

/**
 * A machine's signed word that it has left a node (format F62). It ends the machine's memberships there that are not newer:
 * that node, and all above it that know of these, take it for no way to the machine any more.
 */
export interface Leaving {
  readonly client: ClientId;
  /** Ed25519, 32 bytes; its name is `client`. */
  readonly instanceKey: Uint8Array;
  readonly left: CenterId;
  readonly at: UnixMillis;
}

const leavingShape = record({
  format: literal(1),
  client: bytesOf(16),
  instanceKey: bytesOf(32),
  left: bytesOf(16),
  at: count,
});

export function signLeaving(leaving: Leaving, key: SigningKey): Uint8Array {
  const { client, left } = leaving;
  const body = encodeCbor({ format: 1, ...leaving, client: bytesOfHex(client), left: bytesOfHex(left) });
  return signRecord('leaving', body, key);
}

/**
 * As `openMembership`.
 * @throws LowtideError `bad-request`, `wrong-signature`, `newer-format`
 */
export function openLeaving(bytes: Uint8Array): Leaving {
  const record = parseRecord('leaving', bytes, 'bad-request');
  const { format, ...body } = decodeCbor(record.body, leavingShape, 'bad-request', 'the leaving');
  void format;
  const leaving = { ...body, client: hexOf(body.client) as ClientId, left: hexOf(body.left) as CenterId };
  checkOwnWord('leaving', record, leaving);
  return leaving;
}

/** Signed by the key that it names, which names the client. */
function checkOwnWord(
  kind: 'membership' | 'leaving',
  record: SignedRecord,
  { client, instanceKey }: Pick<Membership, 'client' | 'instanceKey'>,
): void {
  checkSignature(kind, record, instanceKey);
  if (clientIdOf(instanceKey) === client) return;
  const message = `the ${kind} is signed by a key that is not the client of that name`;
  throw new LowtideError('wrong-signature', message);
}
