import { formatAddress } from '../identity/addresses.ts';
import type { ClientIdentity } from '../identity/client-identity.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { CenterFace } from '../model/exchange.ts';
import type { CenterId } from '../model/ids.ts';
import type { UnixMillis } from '../model/time.ts';
import { knownConditions } from '../uplink/conditions.ts';
import type { UplinkStatus } from '../uplink/uplink-status.ts';
import { bestFirst, centersReached } from './agent/parts.ts';

/** A center, as a machine below knows it. */
export interface CenterStatus {
  readonly id: CenterId;
  readonly name: string;
  /** The upstreams that lead to it, best first. */
  readonly ways: readonly CenterId[];
}

/** A node that a machine sends to, a center or a relay. */
export interface UpstreamStatus {
  readonly id: CenterId;
  readonly kind: 'center' | 'relay';
  readonly name: string;
  readonly addresses: readonly string[];
  readonly connected: boolean;
  /** Since when it is so; null if the machine's node does not run. */
  readonly since: UnixMillis | null;
  readonly code: string;
  readonly message: string;
  /** When it is tried again by itself; null while it is connected, or tried, or the node does not run. */
  readonly retryAt: UnixMillis | null;
  /** When it collects, as it said last. */
  readonly windows: string | null;
  readonly zone: string | null;
}

/** A node that was joined, for people. */
export interface JoinedNode {
  readonly face: CenterFace;
  readonly centers: readonly CenterFace[];
  readonly addresses: readonly string[];
}

export const joinedNodes = ({ centers }: Pick<ClientIdentity, 'centers'>): readonly JoinedNode[] =>
  centers.map(({ face, centers, addresses }) => ({ face, centers, addresses: addresses.map(formatAddress) }));

export function knownCenters(upstreams: readonly JoinedNode[]): CenterStatus[] {
  const ways = bestFirst(upstreams);
  return centersReached(upstreams).map(({ id, name }) => {
    const leading = ways.filter(({ centers }) => centers.some((center) => center.id === id));
    return { id, name, ways: leading.map(({ face }) => face.id) };
  });
}

/** @param uplink null if nobody runs this machine's node, which `role` names */
export async function upstreamStatus(
  ledger: Ledger,
  { face: { id, kind, name }, addresses }: JoinedNode,
  uplink: UplinkStatus | null,
  role: 'agent' | 'relay',
): Promise<UpstreamStatus> {
  const conditions = await knownConditions(ledger, id);
  const { connected, since, code, message, retryAt } = uplink ?? {
    connected: false,
    since: null,
    code: '',
    message: `the ${role} is not running`,
    retryAt: null,
  };
  const known = { windows: conditions?.windows ?? null, zone: conditions?.zone ?? null };
  return { id, kind, name, addresses, connected, since, code, message, retryAt, ...known };
}
