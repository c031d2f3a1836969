import { openMembership } from '../format/membership.ts';
import { hexOf } from '../model/bytes.ts';
import { LowtideError } from '../model/errors.ts';
import type { Member } from '../model/exchange.ts';
import type { CenterId, ClientId } from '../model/ids.ts';
import type { UnixMillis } from '../model/time.ts';
import { addNewcomer, findClient } from './clients.ts';
import { leftAt } from './leavings.ts';
import type { Database } from './ledger.ts';
import { liveMembers } from './live-members.ts';
import { prepared } from './prepared.ts';
import { MEMBERS_MAX, membersTold } from './quotas.ts';
import type { ClientRow, MemberRow } from './tables.ts';

export type NewMember = Pick<MemberRow, 'client' | 'joined' | 'via' | 'name' | 'node' | 'membership'>;

/**
 * Idempotent; the newest membership wins, and counts for nothing if its machine has left there since.
 * @param at when it was signed
 */
export async function putMember(db: Database, member: NewMember, at: UnixMillis): Promise<void> {
  const { client, joined, via, name, node, membership } = member;
  const known = await db
    .selectFrom('members')
    .select(['membership', 'left_at'])
    .where('client', '=', client)
    .where('joined', '=', joined)
    .where('via', '=', via)
    .executeTakeFirst();
  if (known !== undefined && openMembership(known.membership).at > at) return;
  const left = Math.max(known?.left_at ?? -1, (await leftAt(db, client, joined)) ?? -1);
  const left_at = left >= at ? left : null;
  await db
    .insertInto('members')
    .values({ ...member, left_at })
    .onConflict((conflict) =>
      conflict.columns(['client', 'joined', 'via']).doUpdateSet({ name, node, membership, left_at }),
    )
    .execute();
}

/** Everything that has ever joined this node or was below it, in order of client. */
export async function listMembers(db: Database): Promise<MemberRow[]> {
  return await MEMBERS.rows(db, {});
}

const MEMBERS = prepared((db) =>
  db.selectFrom('members').selectAll().orderBy('client').orderBy('joined').orderBy('via'),
);

/**
 * What a relay tells above: what is below it, and of what has left the machines of which something is here that has yet to
 * be passed on, with the relays through which it came.
 */
export async function membersToTell(db: Database): Promise<readonly MemberRow[]> {
  const rows = await listMembers(db);
  const told = new Set(liveMembers(rows));
  if (told.size === rows.length) return rows;
  const kept = new Set((await KEPT_OF.rows(db, {})).map(({ client }) => client));
  const wanted = (row: MemberRow): boolean =>
    kept.has(row.client) || (row.node !== null && [...told].some(({ joined }) => joined === row.node));
  for (let before = -1; before !== told.size;) {
    before = told.size;
    for (const row of rows) if (!told.has(row) && wanted(row)) told.add(row);
  }
  return rows.filter((row) => told.has(row));
}

const KEPT_OF = prepared((db) =>
  db.selectFrom('snapshots').select('client').distinct().where('pack_group', 'is not', null),
);

/**
 * Whether `caller`, a client here, may bring what is `client`'s: its own, and if it is a relay what is of its subtree, or
 * was. What that relay has in its custody still must come, wherever its owner has gone.
 */
export async function speaksFor(db: Database, caller: ClientId, client: ClientId): Promise<boolean> {
  if (caller === client) return true;
  return (await SPEAKS_FOR.first(db, { caller, client })) !== null;
}

const SPEAKS_FOR = prepared((db, { caller, client }: { caller: ClientId; client: ClientId }) =>
  db.selectFrom('members').select('client').where('via', '=', caller).where('client', '=', client),
);

/** Whether it has ever joined this node, or was below it. */
export async function isMember(db: Database, client: ClientId): Promise<boolean> {
  return (await MEMBER.first(db, { client })) !== null;
}

const MEMBER = prepared((db, { client }: { client: ClientId }) =>
  db.selectFrom('members').select('client').where('client', '=', client).limit(1),
);

/** Whether it had joined `node`, this one, and has left it since. */
export async function isGone(db: Database, client: ClientId, node: CenterId): Promise<boolean> {
  const row = await OWN_ROW.first(db, { client, node });
  return row !== null && row.left_at !== null;
}

const OWN_ROW = prepared((db, { client, node }: { client: ClientId; node: CenterId }) =>
  db
    .selectFrom('members')
    .select('left_at')
    .where('client', '=', client)
    .where('joined', '=', node)
    .where('via', '=', client),
);

/** Direct clients here through which snapshots of `client` may come and news of them go. */
export async function sendersFor(db: Database, client: ClientId): Promise<ClientId[]> {
  const rows = await SENDERS.rows(db, { client });
  return [...new Set([client, ...rows.map(({ via }) => via)])];
}

const SENDERS = prepared((db, { client }: { client: ClientId }) =>
  db.selectFrom('members').select('via').distinct().where('client', '=', client),
);

/**
 * Takes over what a relay tells of its subtree: machines that joined the relay itself, or a relay below it that is told of
 * here or was before. All of them or none. It tells of all whenever it connects: what is known costs one query.
 * @param nodes this one and those above it: nobody below is one of these
 * @returns whether any of it is new
 * @throws LowtideError `forbidden` if one is outside its subtree or calls itself a node that is another's, `members-full` if
 *   there are more than it may tell of, `wrong-signature`, `bad-request`
 */
export async function enrollMembers(
  db: Database,
  relay: ClientRow,
  members: readonly Member[],
  now: UnixMillis,
  nodes: readonly CenterId[] = [],
): Promise<boolean> {
  if (relay.role !== 'relay' || relay.node === null) {
    throw new LowtideError(
      'forbidden',
      'only a relay has machines below it: join it with a token for a relay',
    );
  }
  const known = await toldBefore(db, relay.id, members);
  const read = members
    .filter((member) => !known.has(keyOf(member)))
    .map((member) => ({ ...member, word: openMembership(member.membership) }));
  if (read.length === 0) return false;
  const below = await nodesBelow(db, relay.id, relay.node);
  // A relay may be told of after its own members.
  for (let before = -1; before !== below.size;) {
    before = below.size;
    for (const { word } of read) if (word.node !== null && below.has(word.joined)) below.add(word.node);
  }
  const before = await membersTold(db, relay.id);
  for (const { word, name, membership } of read) {
    if (!below.has(word.joined)) throw outside(name);
    await requireSameKey(db, word);
    await requireOwnNode(db, word, name, nodes);
    const { client, joined, node, instanceKey: instance_key } = word;
    const role = node === null ? 'agent' : 'relay';
    // Without a pass it cannot come here by itself; one that can already stays what it is.
    await addNewcomer(db, { id: client, name, role, instance_key, pass: '', node }, now);
    await putMember(db, { client, joined, via: relay.id, name, node, membership }, word.at);
  }
  await requirePlace(db, relay, before);
  return true;
}

const keyOf = ({ membership, name }: Member): string => `${hexOf(membership)} ${name}`;

/** By the same word, under the same name. Not relays: who is above them may have changed, and they may be one of these. */
async function toldBefore(db: Database, relay: ClientId, members: readonly Member[]): Promise<Set<string>> {
  const words = members.map(({ membership }) => membership);
  const rows = await db
    .selectFrom('members')
    .select(['membership', 'name'])
    .where('via', '=', relay)
    .where('node', 'is', null)
    .where('membership', 'in', words)
    .execute();
  return new Set(rows.map(keyOf));
}

/** What was told of before may be told again, also if the bound is lower now. */
async function requirePlace(db: Database, relay: ClientRow, before: number): Promise<void> {
  const most = relay.members_max ?? MEMBERS_MAX;
  const told = await membersTold(db, relay.id);
  if (told <= most || told <= before) return;
  throw new LowtideError(
    'members-full',
    `${relay.name} may tell of ${most} machines and has told of ${before}: the operator here may raise that`,
  );
}

const outside = (name: string): LowtideError =>
  new LowtideError('forbidden', `${name} has not joined this relay or one below it`);

/** The relay itself and the relays of its subtree that are known. */
async function nodesBelow(db: Database, relay: ClientId, node: CenterId): Promise<Set<CenterId>> {
  const rows = await db
    .selectFrom('members')
    .select('node')
    .where('via', '=', relay)
    .where('node', 'is not', null)
    .execute();
  return new Set([node, ...rows.map((row) => row.node!)]);
}

async function requireSameKey(db: Database, word: ReturnType<typeof openMembership>): Promise<void> {
  const known = await findClient(db, word.client);
  if (known === null || Buffer.compare(known.instance_key, word.instanceKey) === 0) return;
  throw new LowtideError('forbidden', `client ${word.client} is known here by another key`);
}

/** A relay that could call itself another node would have what joined that one for its subtree. */
async function requireOwnNode(
  db: Database,
  { client, node }: ReturnType<typeof openMembership>,
  name: string,
  nodes: readonly CenterId[],
): Promise<void> {
  if (node === null) return;
  const others = await db
    .selectFrom('clients')
    .select('id')
    .where('node', '=', node)
    .where('id', '!=', client)
    .execute();
  if (others.length === 0 && !nodes.includes(node)) return;
  throw new LowtideError('forbidden', `${name} calls itself a node that is another's`);
}
