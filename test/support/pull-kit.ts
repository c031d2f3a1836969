import { Pull } from '../../src/collect/pull/pulling.ts';
import type { PullWish } from '../../src/collect/pull/parts.ts';
import { putClient } from '../../src/ledger/clients.ts';
import { copiesOf } from '../../src/ledger/copies.ts';
import { listSnapshots } from '../../src/ledger/snapshots.ts';
import type { SnapshotId } from '../../src/model/ids.ts';
import { UNLIMITED } from '../../src/schedule/rate-plan.ts';
import { parseWindows } from '../../src/schedule/windows.ts';
import type { Fleet } from '../../src/sim/fleet.ts';
import { makeIdentity, type Meddle, type NodeMachine, waysTo } from '../../src/sim/joining.ts';
import type { CenterMachine } from '../../src/sim/machines.ts';

export const OPEN_WISH: PullWish = {
  clients: [],
  letIn: false,
  rate: UNLIMITED,
  windows: parseWindows('any', 'UTC'),
};

/** What `center token --peer` and `center pull --from` bring about, as far as to the pull that is ready to run. */
export async function pullInto(
  fleet: Fleet,
  center: CenterMachine,
  sources: readonly NodeMachine[],
  wish: Partial<PullWish> = {},
  meddle?: Meddle,
): Promise<Pull> {
  const { simulation, network } = fleet;
  const { client, signingKey } = makeIdentity(center.node);
  for (const { running } of sources) {
    const key = { instance_key: signingKey.publicKey, pass: 'peer', enrolled_at: simulation.now };
    const row = { id: client, name: center.name, role: 'peer', ...key } as const;
    await simulation.finish(putClient(running!.ledger.db, row));
  }
  const { world, collector } = center.running!;
  const ways = waysTo(sources, { world, network, client, name: center.name, meddle });
  return new Pull(collector, { client, software: 'lowtide sim' }, ways, { ...OPEN_WISH, ...wish });
}

/** Snapshots that a center has receipted, in the order in which it heard of them. */
export async function receiptedAt(fleet: Fleet, center: CenterMachine): Promise<SnapshotId[]> {
  const { simulation } = fleet;
  const { db } = center.running!.ledger;
  const receipted: SnapshotId[] = [];
  const rows = await simulation.finish(listSnapshots(db));
  for (const { id } of rows.toSorted((a, b) => a.sequence - b.sequence)) {
    const copies = await simulation.finish(copiesOf(db, id));
    if (copies.some((copy) => copy.center === center.face.id && copy.phase === 'safe')) receipted.push(id);
  }
  return receipted;
}
