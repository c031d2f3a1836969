import type { Depot } from '../../depot/depot.ts';
import { listSnapshots } from '../../ledger/snapshots.ts';
import type { Ledger } from '../../ledger/ledger.ts';
import { listLosses } from '../../ledger/losses.ts';
import type { Hop } from '../../model/exchange.ts';
import type { World } from '../../world/ports.ts';
import { type AgentIdentity, centersReached, type Upstream } from './parts.ts';
import { leftNode } from '../left-names.ts';
import { lostSnapshots } from './lost-files.ts';
import type { CopyLine, Reading, SnapshotLine } from '../reading.ts';
import type { KnownCosts, SourceCosts } from './source-costs.ts';
import { agentSources, findManifest } from './sources.ts';

export interface AgentReadingParts {
  readonly world: World;
  /** Opened to read: the agent may be running. */
  readonly depot: Depot;
  readonly ledger: Ledger;
  readonly identity: AgentIdentity;
  readonly upstreams: readonly Upstream[];
  /** What restores before have measured. */
  readonly costs: SourceCosts;
  /** Told at the end what was measured now, if it is news. */
  readonly remember: (costs: KnownCosts) => Promise<void>;
  /** Ends connections to centers. */
  readonly disconnect: () => void;
}

/** Reads an agent's snapshots (SEED fig. 8): the spool first, then what it has joined. Closing it closes depot and ledger. */
export function agentReading(parts: AgentReadingParts): Reading {
  const { world, depot, ledger, identity, costs } = parts;
  const before = JSON.stringify(costs.known);
  return {
    world,
    keys: identity.keyring.keys,
    sources: agentSources(parts, costs),
    list: () => agentLines(parts),
    manifest: (id) => findManifest(parts, id),
    lost: () => lostSnapshots({ world, depot, ledger, keys: identity.keyring.keys }),
    close: async () => {
      parts.disconnect();
      const { known } = costs;
      if (JSON.stringify(known) !== before) await parts.remember(known);
      await ledger.close();
      await depot.close();
    },
  };
}

async function agentLines(parts: AgentReadingParts): Promise<SnapshotLine[]> {
  const { ledger, identity } = parts;
  const copies = await copyLines(parts);
  const losses = await listLosses(ledger.db);
  const lost = new Map(losses.map(({ snapshot, holder }) => [snapshot, holder]));
  const lines: SnapshotLine[] = [];
  for await (const row of allRows(ledger, identity.client)) {
    const own = copies.get(row.id) ?? [];
    const safe = own.filter(({ phase }) => phase === 'safe').map(({ center }) => center);
    const held = own.filter(({ phase }) => phase === 'held').map(({ holder }) => holder ?? 'a relay');
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
      where: [...new Set([...(row.pack_group === null ? [] : ['spool']), ...safe, ...held])],
      copies: own,
      lostWith: lost.get(row.id) ?? null,
    });
  }
  return lines;
}

async function copyLines({
  ledger,
  upstreams,
}: AgentReadingParts): Promise<Map<SnapshotLine['id'], CopyLine[]>> {
  const names = new Map(centersReached(upstreams).map(({ id, name }) => [id, name]));
  const rows = await ledger.db.selectFrom('copies').selectAll().orderBy('center').execute();
  const lines = new Map<SnapshotLine['id'], CopyLine[]>();
  for (const { snapshot, center, phase, code, until, since, holder, arrived_at, hops } of rows) {
    const name = names.get(center) ?? (await leftNode(ledger, center)).name;
    const line = { center: name, phase, code, until, since, holder, arrivedAt: arrived_at };
    const list = lines.get(snapshot) ?? [];
    list.push({ ...line, hops: JSON.parse(hops) as Hop[] });
    lines.set(snapshot, list);
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
