import { type Depot, depotSource } from '../depot/depot.ts';
import type { BlockSource } from '../format/block-source.ts';
import { checkManifest, parseManifest, type SignedManifest } from '../format/manifest.ts';
import { isLowtideError, LowtideError } from '../model/errors.ts';
import { shortId, type SnapshotId } from '../model/ids.ts';
import type { CenterApi } from '../protocol/center-api.ts';
import type { NamedSource } from '../restore/restore-plan.ts';
import type { AgentParts, Upstream } from './agent-parts.ts';

/** What reading on an agent needs: it works beside the running daemon, and without any center. */
export type ReadingParts = Pick<AgentParts, 'world' | 'depot' | 'identity' | 'upstreams'>;

/**
 * Where an agent's blocks come from, nearest first (SEED fig. 8): the own spool, then the centers. A center is
 * connected to only when the first block is asked of it.
 */
export function agentSources(parts: ReadingParts): readonly NamedSource[] {
  return [
    { name: 'spool', source: depotSource(parts.depot) },
    ...parts.upstreams.map((upstream) => ({
      name: `center ${upstream.face.name}`,
      source: centerSource(parts.depot, upstream),
    })),
  ];
}

/** A center that was not offered the snapshot yet has its base, and of that all that the spool has freed. */
function centerSource(depot: Depot, upstream: Upstream): BlockSource {
  let connection: Promise<CenterApi> | null = null;
  return {
    async *fetch(scope, ids, stop) {
      connection ??= upstream.connect();
      const api = await connection.catch((error: unknown) => {
        connection = null;
        throw error;
      });
      for (let known: SnapshotId | null = scope; known !== null; known = await baseOf(depot, known)) {
        try {
          yield* api.fetch(known, ids, stop);
          return;
        } catch (error) {
          if (!isLowtideError(error, 'no-such-snapshot')) throw error;
        }
      }
    },
  };
}

async function baseOf(depot: Depot, id: SnapshotId): Promise<SnapshotId | null> {
  return (await depot.hasManifest(id)) ? (await depot.manifest(id)).manifest.base : null;
}

/**
 * A snapshot's manifest: the spool's if it is there, else the first center's that has it, checked against the
 * client's own instance keys.
 * @throws LowtideError `no-such-snapshot`, or `center-unreachable` if no center could be asked
 */
export async function findManifest(parts: ReadingParts, id: SnapshotId): Promise<SignedManifest> {
  if (await parts.depot.hasManifest(id)) return await parts.depot.manifest(id);
  let unreachable: LowtideError | null = null;
  for (const upstream of parts.upstreams) {
    try {
      const manifest = await askManifest(upstream, id);
      if (manifest !== null) return trusted(parts, manifest, id);
    } catch (error) {
      if (!isLowtideError(error)) throw error;
      unreachable = error;
    }
  }
  if (unreachable !== null) throw unreachable;
  throw new LowtideError(
    'no-such-snapshot',
    `there is no snapshot ${shortId(id)} in the spool or at any center`,
  );
}

async function askManifest(upstream: Upstream, id: SnapshotId): Promise<Uint8Array | null> {
  const api = await upstream.connect();
  const page = await api.copies({ snapshots: [id], manifests: true });
  return page.rows.find((row) => row.manifest !== null)?.manifest ?? null;
}

/** A center is not believed: the manifest must be the one asked for, signed by one of the keyring's instances. */
function trusted(parts: ReadingParts, bytes: Uint8Array, id: SnapshotId): SignedManifest {
  const signed = parseManifest(bytes);
  const { instances } = parts.identity.keyring.signed.keyring;
  const instance = instances.find((each) => each.id === signed.manifest.instance);
  if (signed.id !== id || instance === undefined) {
    throw new LowtideError(
      'wrong-signature',
      'the center answered with another snapshot than the one asked for',
    );
  }
  checkManifest(signed, instance.publicKey);
  return signed;
}
