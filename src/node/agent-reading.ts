import type { Depot } from '../depot/depot.ts';
import { listSnapshots } from '../ledger/snapshots.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { CenterId } from '../model/ids.ts';
import type { World } from '../world/ports.ts';
import type { AgentIdentity, Upstream } from './agent-parts.ts';
import type { Reading, SnapshotLine } from './reading.ts';
import { agentSources, findManifest } from './sources.ts';

export interface AgentReadingParts {
  readonly world: World;
  /** Opened to read: the agent may be running. */
  readonly depot: Depot;
  readonly ledger: Ledger;
  readonly identity: AgentIdentity;
  readonly upstreams: readonly Upstream[];
  /** Ends connections to centers. */
  readonly disconnect: () => void;
}

/** Reads an agent's snapshots (SEED fig. 8): the spool first, then the centers. Closing it closes depot and ledger. */
export function agentReading(parts: AgentReadingParts): Reading {
  const { world, depot, ledger, identity } = parts;
  return {
    world,
    keys: identity.keyring.keys,
    sources: agentSources(parts),
    list: () => agentLines(parts),
    manifest: (id) => findManifest(parts, id),
    close: async () => {
      parts.disconnect();
      await ledger.close();
      await depot.close();
    },
  };
}

async function agentLines({ ledger, identity, upstreams }: AgentReadingParts): Promise<SnapshotLine[]> {
  const names = new Map<CenterId, string>(upstreams.map(({ face }) => [face.id, face.name]));
  const safe = await ledger.db
    .selectFrom('copies')
    .select(['snapshot', 'center'])
    .where('phase', '=', 'safe')
    .orderBy('center')
    .execute();
  const centers = Map.groupBy(safe, ({ snapshot }) => snapshot);
  const lines: SnapshotLine[] = [];
  for await (const row of allRows(ledger, identity.client)) {
    const at = (centers.get(row.id) ?? []).map(({ center }) => names.get(center) ?? center.slice(0, 12));
    lines.push({
      id: row.id,
      client: row.client,
      instance: row.instance,
      job: row.job,
      sequence: row.sequence,
      takenAt: row.taken_at,
      complete: row.complete === 1,
      files: row.files,
      bytes: row.bytes,
      problems: row.problems,
      roots: row.label === null ? [] : [row.label],
      where: [...(row.pack_group === null ? [] : ['spool']), ...at],
    });
  }
  return lines;
}

/** Newest first, however many there are. */
async function* allRows(
  ledger: Ledger,
  client: AgentIdentity['client'],
): AsyncGenerator<Awaited<ReturnType<typeof listSnapshots>>[number]> {
  let before: { takenAt: number; id: SnapshotLine['id'] } | undefined;
  for (;;) {
    const rows = await listSnapshots(ledger.db, { client, ...(before && { before }) });
    yield* rows;
    const last = rows.at(-1);
    if (last === undefined) return;
    before = { takenAt: last.taken_at, id: last.id };
  }
}
