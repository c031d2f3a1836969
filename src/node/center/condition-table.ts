import type { Collector } from '../../collect/collector.ts';
import type { Reading } from '../../collect/watches.ts';
import type { Authority } from '../../identity/authority.ts';
import { lastChanges } from '../../ledger/audit.ts';
import type { Ledger } from '../../ledger/ledger.ts';
import type { AuditRow } from '../../ledger/tables.ts';
import type { UnixMillis } from '../../model/time.ts';
import type { World } from '../../world/ports.ts';

/** The center condition table (SEED 222) as it is in force, as plain data. */
export interface ConditionTable {
  readonly name: string;
  readonly running: boolean;
  readonly now: UnixMillis;
  /** Of the windows. */
  readonly zone: string;
  /** What keeps the settings file as it is now from being in force; null for nothing. */
  readonly mistake: string | null;
  /** Key by key, as its operator wrote it. */
  readonly written: Readonly<Record<string, string>>;
  /** What was measured last; empty where nothing waits or the node does not run. */
  readonly readings: readonly Reading[];
  /** Newest first. */
  readonly changes: readonly AuditRow[];
}

const CHANGES_TOLD = 20;

export async function conditionTable({
  node,
  authority,
  running,
  mistake,
}: {
  readonly node: { readonly world: World; readonly ledger: Ledger; readonly collector: Collector };
  readonly authority: Authority;
  readonly running: boolean;
  readonly mistake?: () => Promise<string | null>;
}): Promise<ConditionTable> {
  const { world, ledger, collector } = node;
  const { written = {}, zone } = collector.conditions;
  return {
    name: authority.face.name,
    running,
    now: world.clock.now(),
    zone,
    mistake: (await mistake?.()) ?? null,
    written,
    readings: running ? collector.readings : [],
    changes: await lastChanges(ledger.db, CHANGES_TOLD),
  };
}
