import { addSlot, newKeyring } from '../format/keyring-edit.ts';
import { signKeyring, type OpenKeyring } from '../format/keyring.ts';
import { signMembership } from '../format/membership.ts';
import { instanceIdOf, type SigningKey, signingKeyFromSeed } from '../format/signing.ts';
import { putClient } from '../ledger/clients.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { putMember } from '../ledger/members.ts';
import type { CenterFace } from '../model/exchange.ts';
import type { CenterId, ClientId } from '../model/ids.ts';
import type { ErrorCode } from '../model/errors.ts';
import type { AgentIdentity, Upstream } from '../node/agent/parts.ts';
import { partFrom } from '../node/word-of-leaving.ts';
import type { CenterApi } from '../protocol/center-api.ts';
import type { Uplink } from '../uplink/uplink.ts';
import type { World } from '../world/ports.ts';
import type { Machine } from './machine.ts';
import type { MethodKinds, Network } from './network.ts';
import type { SimulatedNode } from './node.ts';

const CENTER_METHODS: MethodKinds<CenterApi> = {
  hello: 'call',
  offer: 'call',
  enroll: 'call',
  left: 'call',
  orders: 'stream',
  missing: 'call',
  stored: 'call',
  blocks: 'stream',
  commit: 'call',
  decline: 'call',
  clients: 'call',
  keyrings: 'call',
  copies: 'call',
  withdraw: 'call',
  fetch: 'stream',
};

/** What serves those below: a center, or a relay. */
export interface Serving {
  readonly world: World;
  readonly ledger: Ledger;
  apiFor(client: ClientId, address: string | null): CenterApi;
}

/** A machine that others join. */
export interface NodeMachine extends Machine<Serving> {
  readonly face: CenterFace;
  /** Where it leads. */
  readonly centers: readonly CenterFace[];
}

/** Stands between a machine and a node above, for one that misbehaves. */
export type Meddle = (api: CenterApi, node: NodeMachine) => CenterApi;

interface Joiner {
  readonly client: ClientId;
  readonly name: string;
  readonly signingKey: SigningKey;
}

/** What a token brings about. @param node the joiner's own id as a node, if it is a relay */
export async function enrollAt(
  nodes: readonly NodeMachine[],
  { client, name, signingKey }: Joiner,
  node: CenterId | null,
): Promise<void> {
  for (const { running, face } of nodes) {
    if (running === null) throw new TypeError('enroll a machine while what it joins runs');
    const { db } = running.ledger;
    const at = running.world.clock.now();
    const role = node === null ? 'agent' : 'relay';
    const { publicKey: instanceKey } = signingKey;
    const key = { instance_key: instanceKey, pass: '', enrolled_at: at };
    await putClient(db, { id: client, name, role, node, ...key });
    const membership = signMembership({ client, instanceKey, joined: face.id, node, at }, signingKey);
    await putMember(db, { client, joined: face.id, via: client, name, node, membership }, at);
  }
}

/** A machine that has joined others, and runs. */
export interface Joined {
  readonly parts: {
    readonly world: World;
    readonly ledger: Ledger;
    readonly upstreams: readonly Upstream[];
  };
  readonly uplinks: readonly Uplink[];
}

/**
 * What `leave` brings about.
 * @param forget the machine has not joined it any more, whatever happens to it from then on
 * @returns as `partFrom`
 */
export async function leaveOne(
  { parts, uplinks }: Joined,
  { client, signingKey: key }: Pick<Joiner, 'client' | 'signingKey'>,
  { face }: NodeMachine,
  forget: () => void,
): Promise<ErrorCode | ''> {
  const { world, ledger, upstreams } = parts;
  const at = upstreams.findIndex((upstream) => upstream.face.id === face.id);
  const { connect } = upstreams[at]!;
  const forgotten = async (): Promise<void> => {
    forget();
    uplinks[at]!.retire();
  };
  const parting = { node: face.id, joinedAt: 0, connect, forget: forgotten };
  return await partFrom({ world, ledger, client, key }, parting);
}

export interface WaysFrom {
  readonly world: World;
  readonly network: Network;
  readonly client: ClientId;
  readonly name: string;
  readonly meddle?: Meddle | undefined;
}

export function waysTo(nodes: readonly NodeMachine[], from: WaysFrom): Upstream[] {
  const { world, network, client, name, meddle = (api) => api } = from;
  return nodes.map((node) => ({
    face: node.face,
    centers: node.centers,
    connect: async () => {
      const face = (): CenterApi | null => node.running?.apiFor(client, name) ?? null;
      return meddle(network.connect(world, node.node, face, CENTER_METHODS), node);
    },
  }));
}

/** @param domainKey of a key domain that it shares with others; else it has its own */
export function makeIdentity(node: SimulatedNode, domainKey?: Uint8Array): AgentIdentity {
  const random = node.simulation.stream('identity', node.name);
  const entropy = (length: number): Uint8Array => random.bytes(length);
  const signingKey = signingKeyFromSeed(entropy(32));
  const making = { entropy, limits: node.limits, now: node.simulation.start };
  const shared = domainKey === undefined ? {} : { domainKey };
  const ring = newKeyring({ ...making, ...shared, signingKey, storeSigningSeed: false });
  const withSlot = addSlot(ring, { kind: 'device', secret: entropy(32), label: 'device' }, making);
  const keyring: OpenKeyring = signKeyring(withSlot, signingKey);
  const instance = instanceIdOf(signingKey.publicKey);
  return { client: instance as string as ClientId, instance, name: node.name, signingKey, keyring };
}
