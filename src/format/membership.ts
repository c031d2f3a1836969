import { bytesOfHex, hexOf } from '../model/bytes.ts';
import { LowtideError } from '../model/errors.ts';
import type { CenterId, ClientId } from '../model/ids.ts';
import type { UnixMillis } from '../model/time.ts';
import { decodeCbor, encodeCbor } from './cbor.ts';
import { bytesOf, count, literal, orNull, record } from './shape.ts';
import { checkSignature, clientIdOf, parseRecord, type SigningKey, signRecord } from './signing.ts';

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
  checkSignature('membership', record, membership.instanceKey);
  if (clientIdOf(membership.instanceKey) === membership.client) return membership;
  throw new LowtideError(
    'wrong-signature',
    'the membership is signed by a key that is not the client of that name',
  );
}
