import { type OpenKeyring, parseKeyring, type SignedKeyring } from '../../format/keyring.ts';
import type { Secret } from '../../format/keyring-slots.ts';
import { parseManifest, type SignedManifest } from '../../format/manifest.ts';
import { isLowtideError, LowtideError, messageOf } from '../../model/errors.ts';
import type { CopyRecord, KnownClient } from '../../model/exchange.ts';
import { type ClientId, shortId, type SnapshotId } from '../../model/ids.ts';
import { rowsOf } from '../../protocol/pages.ts';
import type { World } from '../../world/ports.ts';
import type { Upstream } from './parts.ts';
import { checkOwnManifest, lineOf } from '../alone/alone.ts';
import type { Reading } from '../reading.ts';
import { sourceName, sourcesAbove } from './sources.ts';
import { unlockAny } from '../unlocking.ts';

/** Another computer, as a rule one that was lost, whose backups nodes above let this one read (protocol R27, R29). */
export interface OtherComputer {
  readonly client: ClientId;
  readonly name: string;
  readonly keyring: OpenKeyring;
  /** The nodes that have something of it. */
  readonly ways: readonly Upstream[];
}

/**
 * Finds it at the nodes that this machine has joined, and opens its keyring.
 * @param text its name there, or its id
 * @throws LowtideError `not-found`, `bad-request` if several have that name, `wrong-key`, `wrong-password`, `damaged-keyring`, or
 *   why a node that may know it cannot be asked
 */
export async function openOther(
  world: World,
  upstreams: readonly Upstream[],
  text: string,
  secret: Secret,
): Promise<OtherComputer> {
  const { known, ways } = await findOther(upstreams, text);
  const { client, name } = known;
  for (const way of ways) {
    const keyrings = await keyringsOf(way, client);
    if (keyrings.length === 0) continue;
    return { client, name, ways, keyring: await unlockAny(world.limits, `of ${name}`, keyrings, secret) };
  }
  throw new LowtideError('not-found', `nothing of ${name} has come to ${namesOf(ways)} yet`);
}

interface Found {
  readonly known: KnownClient;
  readonly ways: readonly Upstream[];
}

async function findOther(upstreams: readonly Upstream[], text: string): Promise<Found> {
  const found: { readonly known: KnownClient; readonly way: Upstream }[] = [];
  let failure: LowtideError | null = null;
  for (const way of upstreams) {
    try {
      const api = await way.connect();
      for await (const known of rowsOf((after) => api.clients(after as ClientId | null))) {
        if (known.role === 'agent' && [known.name, known.client].includes(text)) found.push({ known, way });
      }
    } catch (error) {
      if (!isLowtideError(error)) throw error;
      failure = error;
    }
  }
  const [first] = found;
  if (first === undefined) throw failure ?? unknown(upstreams, text);
  if (found.some(({ known }) => known.client !== first.known.client)) {
    const ids = found.map(({ known, way }) => `${known.client} at ${way.face.name}`).join(', ');
    throw new LowtideError(
      'bad-request',
      `several computers are called ${text}: name one by its id (${ids})`,
    );
  }
  return { known: first.known, ways: found.map(({ way }) => way) };
}

function unknown(upstreams: readonly Upstream[], text: string): LowtideError {
  const where = upstreams.length === 0 ? 'no node that was joined' : `nothing at ${namesOf(upstreams)}`;
  return new LowtideError(
    'not-found',
    `${where} lets this computer read the backups of ${text}: its operator can make a token with '--reads ${text}', to join with here`,
  );
}

const namesOf = (ways: readonly Upstream[]): string => ways.map(({ face }) => face.name).join(' and ');

async function keyringsOf(way: Upstream, client: ClientId): Promise<SignedKeyring[]> {
  const api = await way.connect();
  const keyrings: SignedKeyring[] = [];
  for await (const bytes of rowsOf((after) => api.keyrings(client, after))) {
    const signed = parseKeyring(bytes);
    if (signed.keyring.client === client) keyrings.push(signed);
  }
  return keyrings.toSorted((a, b) => a.keyring.version - b.keyring.version);
}

/** A snapshot of it that is whole somewhere. */
interface Kept {
  readonly signed: SignedManifest;
  /** Names of centers and relays. */
  readonly where: Set<string>;
}

/** Reads its snapshots where they are. Nobody is believed: each manifest must be signed by an instance of its keyring. */
export function otherReading(world: World, other: OtherComputer, close: () => Promise<void>): Reading {
  const { keyring, ways } = other;
  let listed: Promise<ReadonlyMap<SnapshotId, Kept>> | null = null;
  const list = (): Promise<ReadonlyMap<SnapshotId, Kept>> => (listed ??= listKept(world, other));
  return {
    world,
    keys: keyring.keys,
    sources: sourcesAbove(ways),
    list: async () =>
      [...(await list()).values()]
        .map(({ signed, where }) => lineOf(keyring, signed, [...where]))
        .sort((a, b) => b.takenAt - a.takenAt),
    manifest: async (id) => {
      const kept = (await list()).get(id);
      if (kept !== undefined) return kept.signed;
      throw new LowtideError(
        'no-such-snapshot',
        `there is no snapshot ${shortId(id)} of ${other.name} at ${namesOf(ways)}`,
      );
    },
    lost: async () => [],
    close,
  };
}

async function listKept(world: World, other: OtherComputer): Promise<ReadonlyMap<SnapshotId, Kept>> {
  const kept = new Map<SnapshotId, Kept>();
  const failures: LowtideError[] = [];
  for (const way of other.ways) {
    try {
      await listAt(world, other, way, kept);
    } catch (error) {
      if (!isLowtideError(error)) throw error;
      failures.push(error);
      tell(world, sourceName(way), error);
    }
  }
  if (failures.length === other.ways.length) throw failures[0]!;
  return kept;
}

async function listAt(
  world: World,
  { client, keyring }: OtherComputer,
  way: Upstream,
  kept: Map<SnapshotId, Kept>,
): Promise<void> {
  for await (const row of copiesAt(way, client, world.limits.page_rows)) {
    if (row.manifest === null || !isCopy(row, way)) continue;
    try {
      const known = kept.get(row.snapshot) ?? { signed: signedOf(row, keyring), where: new Set<string>() };
      kept.set(row.snapshot, known);
      known.where.add(placeOf(row, way));
    } catch (error) {
      if (!isLowtideError(error)) throw error;
      tell(world, `snapshot ${shortId(row.snapshot)}`, error);
    }
  }
}

/** A relay keeps few manifests: of what it has let go it asks above, if it is asked by name. */
async function* copiesAt(way: Upstream, client: ClientId, rows: number): AsyncGenerator<CopyRecord> {
  const api = await way.connect();
  const bare = new Set<SnapshotId>();
  for await (const row of rowsOf((after) =>
    api.copies({ client, manifests: true, ...(after && { after }) }),
  )) {
    if (row.manifest === null) bare.add(row.snapshot);
    else yield row;
  }
  const ids = [...bare];
  // A row for each center, and one for the relay itself.
  const most = Math.max(1, Math.floor(rows / (way.centers.length + 1)));
  for (let at = 0; at < ids.length; at += most) {
    yield* (await api.copies({ client, manifests: true, snapshots: ids.slice(at, at + most) })).rows;
  }
}

/** What a relay says of itself is no copy: it passes on what it has. */
const isCopy = ({ phase, center }: CopyRecord, { face }: Upstream): boolean =>
  (phase === 'safe' || phase === 'held') && (face.kind === 'center' || center !== face.id);

function signedOf({ snapshot, manifest }: CopyRecord, keyring: OpenKeyring): SignedManifest {
  const signed = parseManifest(manifest!);
  if (signed.id !== snapshot) throw new LowtideError('wrong-signature', 'its manifest is that of another');
  checkOwnManifest(keyring, signed);
  return signed;
}

function placeOf({ phase, holder, center }: CopyRecord, { face, centers }: Upstream): string {
  if (phase === 'held') return holder ?? face.name;
  return centers.find(({ id }) => id === center)?.name ?? center.slice(0, 12);
}

function tell({ monitor }: World, path: string, error: LowtideError): void {
  monitor.problem({ path, code: error.code, message: messageOf(error), severity: 'error' });
}
