import assert from 'node:assert/strict';
import type { SnapshotId } from '../../src/model/ids.ts';
import type { Job } from '../../src/model/jobs.ts';
import { pathKeyOf } from '../../src/model/paths.ts';
import { restoreSnapshot } from '../../src/restore/restore.ts';
import type { AgentMachine, CenterMachine } from '../../src/sim/machines.ts';
import type { ListedEntry } from '../../src/sim/file-listing.ts';
import { jobOf } from '../support/fleet-kit.ts';

export const testJob = (name: string, path: string, backup: string, transfer: string): Job =>
  jobOf({ name, paths: [path], backup, transfer });

/**
 * P2: a receipted snapshot restores bit for bit from this center alone.
 * @param expected what `path` held when the snapshot was taken; what it holds now unless given
 */
export async function assertRestoresFrom(
  center: CenterMachine,
  agent: AgentMachine,
  id: SnapshotId,
  path: string,
  expected: readonly ListedEntry[] = agent.node.files.tree(path),
): Promise<void> {
  const { simulation, files } = agent.node;
  const running = center.running!;
  const into = `/restored/${id.slice(0, 12)}`;
  const work = restoreSnapshot(
    agent.running!.parts.world,
    {
      signed: await simulation.finish(running.depot.manifest(id)),
      keys: agent.identity.keyring.keys,
      sources: [{ name: 'center', source: running.apiFor(agent.identity.client, agent.name) }],
      target: pathKeyOf(into),
      paths: [],
      overwrite: 'always',
      owners: 'numbers',
    },
    new AbortController().signal,
  );
  const report = await simulation.finish(work);
  assert.ok(report.complete, `${path} restores completely`);
  assert.deepEqual(files.tree(into + path), expected, `${path} restores bit for bit`);
  files.remove('/restored');
}
