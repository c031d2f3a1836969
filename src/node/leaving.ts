import {
  addCenter,
  type ClientIdentity,
  type JoinedCenter,
  removeCenter,
  unitedCenters,
} from '../identity/client-identity.ts';
import { OPEN_PHASES, releaseCenter, type Released } from '../ledger/copies.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { LowtideError } from '../model/errors.ts';
import type { CenterId } from '../model/ids.ts';
import type { World } from '../world/ports.ts';
import { centerNamed, type NamedCenter } from './center-names.ts';
import { leftNode, rememberNames } from './left-names.ts';

/** What a machine that has joined others needs to undo that. */
export interface LeavingDesk {
  readonly world: World;
  readonly ledger: Ledger;
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
  /** Centers that something is still owed to and that no way leads to any more. */
  readonly stranded: readonly NamedCenter[];
}

/**
 * Forgets a node above. What is owed to the centers that it led to stays owed.
 * @throws LowtideError `not-enrolled` if it was not joined, `wrong-state` if the settings name what no way would lead to
 */
export async function leaveNode(desk: LeavingDesk, text: string): Promise<Left> {
  const { client, ledger } = desk;
  const joined = joinedAs(client, text);
  const { id, name } = joined.face;
  const others = client.centers.filter((each) => each !== joined);
  await mustNotName(desk, lostWith(client.centers, others));
  await rememberNames(ledger, [joined.face, ...joined.centers]);
  await removeCenter(desk.world, desk.directory, client, id);
  desk.reload();
  const reached = unitedCenters(others.map(({ centers }) => centers));
  const stranded = (await owed(ledger, desk.own)).filter((each) => !reached.some((face) => face.id === each));
  const named = await Promise.all(stranded.map((each) => leftNode(ledger, each)));
  return { id, name, stranded: named.map((center) => ({ id: center.id, name: center.name })) };
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
  const { client, ledger, world, directory, own } = desk;
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
      await removeCenter(world, directory, client, joined.face.id);
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
