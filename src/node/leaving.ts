import {
  addCenter,
  type ClientIdentity,
  type JoinedCenter,
  removeCenter,
  unitedCenters,
} from '../identity/client-identity.ts';
import { OPEN_PHASES, releaseCenter, type Released } from '../ledger/copies.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { type ErrorCode, LowtideError } from '../model/errors.ts';
import type { CenterId } from '../model/ids.ts';
import type { Uplink } from '../uplink/uplink.ts';
import type { World } from '../world/ports.ts';
import type { Upstream } from './agent/parts.ts';
import { centerNamed, type NamedCenter } from './center-names.ts';
import { leftNode, rememberNames } from './left-names.ts';
import { partFrom } from './word-of-leaving.ts';

/** What a machine that has joined others needs to undo that. */
export interface LeavingDesk {
  readonly node: {
    readonly parts: {
      readonly world: World;
      readonly ledger: Ledger;
      readonly upstreams: readonly Upstream[];
    };
    /** One for each upstream. */
    readonly uplinks: readonly Uplink[];
  };
  /** Of the identity. */
  readonly directory: string;
  readonly client: ClientIdentity;
  /** The machine's own id as a node, if it is a relay. */
  readonly own: CenterId | null;
  /** What in the settings names a center, such as `job docs`: that must be changed first. */
  readonly namedBy: (center: CenterId) => Promise<string | null>;
  /** The ways up have changed. */
  readonly reload: () => void;
}

export interface Left extends NamedCenter {
  /** Why it does not know of it yet; '' if it does. */
  readonly untold: ErrorCode | '';
  /** Names of the other nodes that this machine has joined: these hear of it. */
  readonly others: readonly string[];
  /** Centers that something is still owed to and that no way leads to any more. */
  readonly stranded: readonly NamedCenter[];
}

/**
 * Leaves a node above, and tells it. What is owed to the centers that it led to stays owed.
 * @throws LowtideError `not-enrolled` if it was not joined, `wrong-state` if the settings name what no way would lead to
 */
export async function leaveNode(desk: LeavingDesk, text: string): Promise<Left> {
  const { client } = desk;
  const { ledger } = desk.node.parts;
  const joined = joinedAs(client, text);
  const { id, name } = joined.face;
  const others = client.centers.filter((each) => each !== joined);
  await mustNotName(desk, lostWith(client.centers, others));
  await rememberNames(ledger, [joined.face, ...joined.centers]);
  const untold = await part(desk, joined);
  desk.reload();
  const reached = unitedCenters(others.map(({ centers }) => centers));
  const stranded = (await owed(ledger, desk.own)).filter((each) => !reached.some((face) => face.id === each));
  const named = await Promise.all(stranded.map((each) => leftNode(ledger, each)));
  return {
    id,
    name,
    untold,
    others: others.map(({ face }) => face.name),
    stranded: named.map((center) => ({ id: center.id, name: center.name })),
  };
}

async function part(desk: LeavingDesk, { face, joinedAt }: JoinedCenter): Promise<ErrorCode | ''> {
  const { client, directory, node } = desk;
  const { world, ledger, upstreams } = node.parts;
  const at = upstreams.findIndex((upstream) => upstream.face.id === face.id);
  const forget = async (): Promise<void> => {
    await removeCenter(world, directory, client, face.id);
    node.uplinks[at]!.retire();
  };
  const leaver = { world, ledger, client: client.client, key: client.instance };
  return await partFrom(leaver, { node: face.id, joinedAt, connect: upstreams[at]!.connect, forget });
}

function joinedAs({ centers }: ClientIdentity, text: string): JoinedCenter {
  const found = centers.filter(({ face }) => face.name === text || face.id.startsWith(text.toLowerCase()));
  const [joined] = text === '' ? [] : found;
  if (joined !== undefined && found.length === 1) return joined;
  const names = centers.map(({ face }) => `${face.name} (${face.id.slice(0, 12)})`).join(', ');
  throw new LowtideError(
    'not-enrolled',
    `this machine has joined ${found.length > 1 ? 'more than one' : 'no'} center or relay ${text}; joined: ${names === '' ? 'none' : names}`,
  );
}

export interface ReleasedCenter extends NamedCenter, Released {
  /** Names of the nodes above that led to nothing else and were left. */
  readonly left: readonly string[];
}

/**
 * Takes a center off what is owed, for good: an act of the operator, on record in the history of each snapshot. What is
 * owed to it alone stays owed: nobody else has it.
 * @throws LowtideError `no-route` if no center is called so, `wrong-state` if the settings name it
 */
export async function releaseFrom(desk: LeavingDesk, text: string): Promise<ReleasedCenter> {
  const { client, directory, own } = desk;
  const { ledger, world } = desk.node.parts;
  const reached = unitedCenters(client.centers.map(({ centers }) => centers));
  const elsewhere = (await owed(ledger, own)).filter((id) => !reached.some((face) => face.id === id));
  const formerly = await Promise.all(elsewhere.map((id) => leftNode(ledger, id)));
  const center = centerNamed([...reached, ...formerly], text);
  await mustNotName(desk, [center]);
  await rememberNames(
    ledger,
    reached.filter(({ id }) => id === center.id),
  );
  const gone: string[] = [];
  for (const joined of client.centers) {
    const rest = joined.centers.filter(({ id }) => id !== center.id);
    if (rest.length === joined.centers.length) continue;
    if (rest.length > 0) await addCenter(world, directory, client, { ...joined, centers: rest });
    else {
      await part(desk, joined);
      gone.push(joined.face.name);
    }
  }
  const counts = await releaseCenter(ledger, center.id, world.clock.now(), own);
  desk.reload();
  return { id: center.id, name: center.name, ...counts, left: gone };
}

async function mustNotName(desk: LeavingDesk, centers: readonly NamedCenter[]): Promise<void> {
  for (const { id, name } of centers) {
    const where = await desk.namedBy(id);
    if (where === null) continue;
    throw new LowtideError(
      'wrong-state',
      `${where} names ${name}, which no way would lead to: change that first`,
    );
  }
}

/** What only `before` leads to. */
function lostWith(before: readonly JoinedCenter[], after: readonly JoinedCenter[]): readonly NamedCenter[] {
  const [all, rest] = [before, after].map((joined) => unitedCenters(joined.map(({ centers }) => centers)));
  return all!.filter(({ id }) => !rest!.some((face) => face.id === id));
}

/** Centers that something is still to come to. */
async function owed({ db }: Ledger, own: CenterId | null): Promise<CenterId[]> {
  const rows = await db
    .selectFrom('copies')
    .select('center')
    .distinct()
    .where('phase', 'in', OPEN_PHASES)
    .orderBy('center')
    .execute();
  return rows.map(({ center }) => center).filter((center) => center !== own);
}
