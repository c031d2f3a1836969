import { listClients } from '../../ledger/clients.ts';
import type { Database } from '../../ledger/ledger.ts';
import type { CenterId, ClientId } from '../../model/ids.ts';

/** Who brought something of whom: `sender` is the client here that had the order. */
export interface Bringing {
  readonly client: ClientId;
  readonly sender: ClientId;
}

/**
 * By which relays (SEED fig. 6): their names, the nearest to the computer first and the sender last; none if it sent by
 * itself. The sender is a fact of this node's history. What is between is by the signed words of who joined whom: where these
 * leave more than one way, only the sender is named.
 */
export type WayOf = (bringing: Bringing) => readonly string[];

export async function waysOf(db: Database, all: readonly Bringing[]): Promise<WayOf> {
  const names = new Map<ClientId, string>();
  const nodes = new Map<ClientId, CenterId | null>();
  for (const { id, name, node } of await listClients(db)) {
    names.set(id, name);
    nodes.set(id, node);
  }
  const nameOf = (id: ClientId): string => names.get(id) ?? id.slice(0, 12);
  const told = new Map<ClientId, readonly Told[]>();
  for (const sender of new Set(all.filter(isRelayed).map((each) => each.sender)))
    told.set(sender, await relaysAndTheirs(db, sender, all));
  return ({ client, sender }) => {
    if (client === sender) return [];
    const top = nodes.get(sender) ?? null;
    const between = top === null ? [] : relaysBetween(told.get(sender) ?? [], client, top);
    return [...between, sender].map(nameOf);
  };
}

const isRelayed = ({ client, sender }: Bringing): boolean => client !== sender;

interface Told {
  readonly client: ClientId;
  readonly joined: CenterId;
  readonly node: CenterId | null;
}

/** Of all that a relay has told of: its relays, and the computers that are asked about. */
async function relaysAndTheirs(
  db: Database,
  sender: ClientId,
  all: readonly Bringing[],
): Promise<readonly Told[]> {
  const wanted = new Set(all.filter((each) => each.sender === sender).map(({ client }) => client));
  const rows = await db
    .selectFrom('members')
    .select(['client', 'joined', 'node'])
    .where('via', '=', sender)
    .orderBy('client')
    .orderBy('joined')
    .execute();
  return rows.filter(({ client, node }) => node !== null || wanted.has(client));
}

/** Relays between a computer and the node `top`; none if more than one way leads there, or none. */
function relaysBetween(told: readonly Told[], client: ClientId, top: CenterId): ClientId[] {
  const joinedBy = Map.groupBy(told, (each) => each.client);
  const relays = new Map(told.map((each) => [each.node, each.client]));
  const between: ClientId[] = [];
  for (let at: ClientId | undefined = client; at !== undefined;) {
    const [only, ...more]: readonly Told[] = joinedBy.get(at) ?? [];
    if (only === undefined || more.length > 0 || between.length > told.length) return [];
    if (only.joined === top) return between;
    at = relays.get(only.joined);
    if (at !== undefined) between.push(at);
  }
  return [];
}
