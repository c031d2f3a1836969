import { LowtideError } from '../model/errors.ts';
import type { SnapshotId } from '../model/ids.ts';
import { pathKeyOf } from '../model/paths.ts';
import { loadCosts, saveCosts } from '../node/agent/source-costs.ts';
import { agentSources, findManifest } from '../node/agent/sources.ts';
import { restoreSnapshot } from '../restore/restore.ts';
import type { AgentMachine } from './machines.ts';
import type { Simulation } from './simulation.ts';

export interface WantedRestore {
  readonly agent: AgentMachine;
  readonly snapshot: () => Promise<SnapshotId>;
  readonly paths: readonly string[];
  readonly to: string;
}

/** What the verb `restore` of a scenario does. Says where the bytes came from, and whether they equal the source. */
export async function restoreAndCompare(simulation: Simulation, wanted: WantedRestore): Promise<string[]> {
  const { agent, paths, to } = wanted;
  const lines = await simulation.finish(restored(wanted).catch((error: unknown) => refused(error)));
  const same = paths.every((path) => sameTree(agent, path, to + path));
  return [...lines, ...(paths.length > 0 ? [same ? 'equal to the source' : 'differs from the source'] : [])];
}

async function restored({ agent, snapshot, paths, to }: WantedRestore): Promise<string[]> {
  const { parts } = agent.running!;
  const costs = await loadCosts(parts.ledger);
  const report = await restoreSnapshot(
    parts.world,
    {
      signed: await findManifest(parts, await snapshot()),
      keys: parts.identity.keyring.keys,
      sources: agentSources(parts, costs),
      target: pathKeyOf(to),
      paths: paths.map(pathKeyOf),
      overwrite: 'always',
      owners: 'numbers',
    },
    new AbortController().signal,
  );
  await saveCosts(parts.ledger, costs.known);
  const sources = report.bySource
    .filter(({ bytes }) => bytes > 0)
    .map(({ name, bytes }) => `${name}=${bytes}`);
  const end = report.complete
    ? 'complete'
    : `incomplete: ${report.problems.map(({ path, code }) => `${path} ${code}`).join(', ')}`;
  return [`restored files=${report.files} bytes=${report.bytes} from ${sources.join(' ')} ${end}`];
}

/** Content, types, modes, owners and times, as whoever looks at both folders sees them. */
function sameTree({ node }: AgentMachine, one: string, other: string): boolean {
  const listed = [one, other].map((path) =>
    node.files.exists(path)
      ? JSON.stringify(node.files.tree(path), (_, value) =>
          typeof value === 'bigint' ? String(value) : value,
        )
      : '',
  );
  return listed[0] !== '' && listed[0] === listed[1];
}

function refused(error: unknown): string[] {
  if (!(error instanceof LowtideError)) throw error;
  return [`refused ${error.code}: ${error.message}`];
}
