import { openLossNote, sealLossNote } from '../../format/loss-note.ts';
import { copiesOf, setPhase } from '../../ledger/copies.ts';
import { forgetLoss, type Loss, noteLoss } from '../../ledger/losses.ts';
import { findSnapshot } from '../../ledger/snapshots.ts';
import { isLowtideError, messageOf } from '../../model/errors.ts';
import { shortId, type SnapshotId } from '../../model/ids.ts';
import type { Sender } from '../../uplink/parts.ts';
import type { AgentParts } from './parts.ts';

/**
 * What relays have lost stays on record beside the ledger, sealed in the depot: nothing else could tell a ledger that was
 * made anew.
 */
export async function keepLoss(
  { depot, identity }: Pick<AgentParts, 'depot' | 'identity'>,
  loss: Loss,
): Promise<void> {
  await depot.putLoss(loss.snapshot, sealLossNote(identity.keyring.keys.newest, loss));
}

/** For good. */
export async function dropLoss(
  { depot, ledger }: Pick<AgentParts, 'depot' | 'ledger'>,
  snapshot: SnapshotId,
): Promise<void> {
  await depot.removeLoss(snapshot);
  await forgetLoss(ledger.db, snapshot);
}

/** Tells a ledger that was made anew. A note that cannot be read is an alarm, and the others count. */
export async function recallLosses(parts: AgentParts, sender: Pick<Sender, 'behind'>): Promise<void> {
  for (const snapshot of await parts.depot.losses()) {
    try {
      await recall(parts, snapshot, sender);
    } catch (error) {
      if (!isLowtideError(error)) throw error;
      const message = `what was lost of snapshot ${shortId(snapshot)} cannot be told any more: ${messageOf(error)}`;
      parts.world.monitor.event({ kind: 'alarm', code: error.code, message });
    }
  }
}

/** Where no center has it, it can be closed at none, and nothing may lean on it. */
async function recall(
  { depot, ledger, identity, world }: AgentParts,
  snapshot: SnapshotId,
  sender: Pick<Sender, 'behind'>,
): Promise<void> {
  const loss = openLossNote(identity.keyring.keys, await depot.loss(snapshot));
  await ledger.transaction(async (db) => {
    const row = await findSnapshot(db, snapshot);
    if (!(await noteLoss(db, loss)) || row === null || row.pack_group !== null) return;
    for (const { center, phase } of await copiesOf(db, snapshot)) {
      if (phase !== 'waiting') continue;
      const stuck = { phase: 'stuck', code: 'custody-lost', until: null } as const;
      await setPhase(db, { snapshot, center, ...stuck }, world.clock.now());
    }
    await sender.behind(db, snapshot);
  });
}
