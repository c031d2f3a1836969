import { type Depot, depotSource } from '../../depot/depot.ts';
import type { BlockSource } from '../../format/block-source.ts';
import { checkManifest, parseManifest, type SignedManifest } from '../../format/manifest.ts';
import { isLowtideError, LowtideError } from '../../model/errors.ts';
import { shortId, type SnapshotId } from '../../model/ids.ts';
import type { CenterApi } from '../../protocol/center-api.ts';
import type { NamedSource } from '../../restore/restore-plan.ts';
import type { AgentParts, Upstream } from './parts.ts';
import { SourceCosts } from './source-costs.ts';

/** What reading on an agent needs: it works beside the running daemon, and without any center. */
export type ReadingParts = Pick<AgentParts, 'world' | 'depot' | 'identity' | 'upstreams'>;

/** What the own disk costs before it was measured: asked first, whatever else there is. */
const SPOOL_COST = { latencyMs: 0, bytesPerSecond: 1_000_000_000 };

/**
 * Where an agent's blocks come from, nearest first (SEED fig. 8): the own spool, then the relays that it has joined, which
 * have the newest or ask above, then centers. A node is connected to only when the first block is asked of it.
 * @param costs what restores before have measured
 */
export function agentSources(parts: ReadingParts, costs = new SourceCosts()): readonly NamedSource[] {
  const { depot, upstreams } = parts;
  return [
    { name: 'spool', source: depotSource(depot), cost: costs.of('spool', SPOOL_COST) },
    ...nearestFirst(upstreams).map((upstream) => {
      const name = sourceName(upstream);
      return { name, source: upstreamSource(depot, upstream), cost: costs.of(name) };
    }),
  ];
}

export const sourceName = ({ face }: Pick<Upstream, 'face'>): string => `${face.kind} ${face.name}`;

function nearestFirst(upstreams: readonly Upstream[]): readonly Upstream[] {
  const relays = upstreams.filter(({ face }) => face.kind === 'relay');
  return [...relays, ...upstreams.filter((upstream) => !relays.includes(upstream))];
}

/** Connects when it is asked first, and again after it could not. */
function connecting(upstream: Upstream): () => Promise<CenterApi> {
  let connection: Promise<CenterApi> | null = null;
  return async () => {
    connection ??= upstream.connect();
    return await connection.catch((error: unknown) => {
      connection = null;
      throw error;
    });
  };
}

/** What nodes above have of a snapshot that they know, nearest first. */
export function sourcesAbove(upstreams: readonly Upstream[]): readonly NamedSource[] {
  return nearestFirst(upstreams).map((upstream) => {
    const connect = connecting(upstream);
    const source: BlockSource = {
      async *fetch(scope, ids, stop) {
        yield* (await connect()).fetch(scope, ids, stop);
      },
    };
    return { name: sourceName(upstream), source };
  });
}

/** A node that was not offered the snapshot yet has its base, and of that all that the spool has freed. */
function upstreamSource(depot: Depot, upstream: Upstream): BlockSource {
  const connect = connecting(upstream);
  return {
    async *fetch(scope, ids, stop) {
      const api = await connect();
      let isUnknown: unknown = null;
      for (let known: SnapshotId | null = scope; known !== null; known = await baseOf(depot, known)) {
        try {
          yield* api.fetch(known, ids, stop);
          return;
        } catch (error) {
          if (!isLowtideError(error, 'no-such-snapshot')) throw error;
          isUnknown = error;
        }
      }
      throw isUnknown;
    },
  };
}

async function baseOf(depot: Depot, id: SnapshotId): Promise<SnapshotId | null> {
  return (await depot.hasManifest(id)) ? (await depot.manifest(id)).manifest.base : null;
}

/**
 * A snapshot's manifest: the spool's if it is there, else that of the first node above which has it or gets it from above,
 * checked against the client's own instance keys.
 * @throws LowtideError `no-such-snapshot`, or what went wrong at a node that may have it: `center-unreachable`,
 *   `wrong-signature` ...
 */
export async function findManifest(parts: ReadingParts, id: SnapshotId): Promise<SignedManifest> {
  if (await parts.depot.hasManifest(id)) return await parts.depot.manifest(id);
  let failure: LowtideError | null = null;
  for (const upstream of nearestFirst(parts.upstreams)) {
    try {
      const manifest = await askManifest(upstream, id);
      if (manifest !== null) return trusted(parts, upstream, manifest, id);
    } catch (error) {
      if (!isLowtideError(error)) throw error;
      failure = error;
    }
  }
  if (failure !== null) throw failure;
  throw new LowtideError(
    'no-such-snapshot',
    `there is no snapshot ${shortId(id)} in the spool or at any node that this machine has joined`,
  );
}

async function askManifest(upstream: Upstream, id: SnapshotId): Promise<Uint8Array | null> {
  const api = await upstream.connect();
  const page = await api.copies({ snapshots: [id], manifests: true });
  return page.rows.find((row) => row.snapshot === id && row.manifest !== null)?.manifest ?? null;
}

/** Nobody above is believed: the manifest must be the one asked for, signed by one of the keyring's instances. */
function trusted(parts: ReadingParts, from: Upstream, bytes: Uint8Array, id: SnapshotId): SignedManifest {
  const signed = parseManifest(bytes);
  const { instances } = parts.identity.keyring.signed.keyring;
  const instance = instances.find((each) => each.id === signed.manifest.instance);
  if (signed.id !== id || instance === undefined) {
    throw new LowtideError(
      'wrong-signature',
      `${sourceName(from)} answered with another snapshot than the one asked for`,
    );
  }
  checkManifest(signed, instance.publicKey);
  return signed;
}
