import assert from 'node:assert/strict';
import type { Depot } from '../../src/depot/depot.ts';
import { copiesOf } from '../../src/ledger/copies.ts';
import { custodiesOf } from '../../src/ledger/custodies.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { listSnapshots, spooledSnapshots } from '../../src/ledger/snapshots.ts';
import type { CopyRow, SnapshotRow } from '../../src/ledger/tables.ts';
import type { BlockId, CenterId, SnapshotId } from '../../src/model/ids.ts';
import type { SimulatedNode } from '../../src/sim/node.ts';
import type { AgentMachine, CenterMachine, RelayMachine } from '../../src/sim/machines.ts';
import type { Country } from './country.ts';

const DATA = '/var/lib/lowtide';

/** Looked for on the disk itself, not by asking the node. */
export const hasManifest = ({ node }: { readonly node: SimulatedNode }, id: string): boolean =>
  node.disk.tree.find(`${DATA}/store/manifests/${id}`) !== undefined;
export const isVoidAt = ({ node }: { readonly node: SimulatedNode }, id: string): boolean =>
  ['spool', 'store'].some((depot) => node.disk.tree.find(`${DATA}/${depot}/voids/${id}`) !== undefined);

export interface WhatIsKnown {
  /** Whether a relay's word is enough to free this snapshot. */
  onCustody(id: SnapshotId): boolean;
  /** A relay that is no more. */
  isLost(relay: RelayMachine): boolean;
}

/** What an outsider who can look into every machine finds wrong. */
export class RelayChecks {
  readonly #country: Country;
  /** Per center, snapshots whose closure was checked. */
  readonly #whole = new Set<string>();
  readonly #committed = new Set<string>();
  readonly #known: WhatIsKnown;

  constructor(country: Country, known: WhatIsKnown) {
    this.#country = country;
    this.#known = known;
  }

  /** P1: at the moment of freeing. */
  freed(name: string, id: SnapshotId): string | null {
    const { fleet } = this.#country;
    const agent = fleet.agents.get(name);
    const machine = agent ?? fleet.relays.get(name)!;
    if (isVoidAt(machine, id)) return null;
    const owed =
      agent === undefined ? this.#country.owed(fleet.relays.get(name)!) : this.#country.owedBy(agent);
    const lacking = owed.filter((center) => !hasManifest(center, id));
    if (lacking.length === 0) return null;
    const held = this.#country.relays.some((relay) => relay.name !== name && hasManifest(relay, id));
    if (this.#known.onCustody(id) && held) return null;
    return `${name} freed ${id.slice(0, 12)}, which ${lacking.map((center) => center.name).join(', ')} lacks`;
  }

  /** One snapshot, one receipt per center. */
  committed(name: string, id: SnapshotId): string | null {
    if (!this.#country.fleet.centers.has(name)) return null;
    const key = `${name} ${id}`;
    if (this.#committed.has(key)) return `${name} committed ${id.slice(0, 12)} twice`;
    this.#committed.add(key);
    return null;
  }

  /** P6 at every level, and P1 in what is kept: everything that is claimed anywhere is true. */
  async audit(): Promise<void> {
    for (const center of this.#country.centers) await this.#center(center);
    for (const agent of this.#country.agents) {
      const { running } = agent;
      if (running === null) continue;
      const { ledger, depot } = running.parts;
      const rows = await listSnapshots(ledger.db);
      for (const row of rows)
        await this.#claims(agent.name, ledger, row, row.pack_group === null ? null : depot);
    }
    for (const relay of this.#country.relays) {
      const { running } = relay;
      if (running === null) continue;
      const held = await spooledSnapshots(running.ledger.db);
      for (const row of held) await this.#claims(relay.name, running.ledger, row, null);
      for (const row of held) await this.#isKept(relay, row);
      await this.#isWithinQuota(relay);
    }
  }

  /** Everything that a center has committed is whole there. */
  async #center(center: CenterMachine): Promise<void> {
    const { running } = center;
    if (running === null) return;
    for (const id of await running.depot.snapshots()) {
      const key = `${center.name} ${id}`;
      if (this.#whole.has(key)) continue;
      const signed = await running.depot.manifest(id);
      const { missing } = await running.depot.closure(signed);
      assert.deepEqual(missing, [], `${center.name} has all of ${signed.id.slice(0, 12)}`);
      this.#whole.add(key);
    }
  }

  async #claims(name: string, ledger: Ledger, row: SnapshotRow, _spool: Depot | null): Promise<void> {
    const custodies = await custodiesOf(ledger.db, row.id);
    for (const copy of await copiesOf(ledger.db, row.id)) {
      const center = this.#country.centers.find(({ face }) => face.id === copy.center);
      if (copy.phase === 'safe') {
        assert.ok(
          center !== undefined && hasManifest(center, row.id),
          said(name, row, copy, 'and it is not there'),
        );
      }
      if (copy.phase !== 'held' || center === undefined) continue;
      assert.ok(custodies.length > 0, said(name, row, copy, 'without the word of a relay'));
      await this.#isHeldSomewhere(
        name,
        row,
        copy,
        custodies.map(({ holder }) => holder),
      );
    }
  }

  /** At a relay that has given its word, above that, or where it is owed to. */
  async #isHeldSomewhere(
    name: string,
    row: SnapshotRow,
    copy: CopyRow,
    holders: readonly CenterId[],
  ): Promise<void> {
    const relays = [...this.#country.fleet.relays.values()].filter(({ face }) => holders.includes(face.id));
    // Of one that is no more nobody has heard yet.
    if (relays.some((relay) => relay.running === null || this.#known.isLost(relay))) return;
    const held = relays.some((relay) => hasManifest(relay, row.id));
    const center = this.#country.centers.find(({ face }) => face.id === copy.center)!;
    const above = this.#country.relays.some((relay) => hasManifest(relay, row.id));
    assert.ok(held || above || hasManifest(center, row.id), said(name, row, copy, 'and nobody has it'));
  }

  /** Its quota, and beyond it one snapshot, and a group of blocks for each stream (decision 43). */
  async #isWithinQuota(relay: RelayMachine): Promise<void> {
    const { depot, ledger, world } = relay.running!;
    const { storeBytes, conditions } = relay.options;
    const { bytes } = await depot.usage();
    const largest = Math.max(0, ...(await listSnapshots(ledger.db)).map((row) => row.new_bytes));
    const most = storeBytes + largest + conditions.streams * world.limits.flush_bytes;
    assert.ok(bytes <= most, `${relay.name} holds ${bytes} bytes, and may hold ${most}`);
  }

  /** A relay has every block of what it has in custody, or every center that it still owes it to has. */
  async #isKept(relay: RelayMachine, row: SnapshotRow): Promise<void> {
    const { depot, ledger } = relay.running!;
    const signed = await depot.manifest(row.id);
    const { base } = signed.manifest;
    const lean = base !== null && (await depot.hasManifest(base)) ? await depot.manifest(base) : null;
    const vouched = new Set<BlockId>();
    for (;;) {
      const { missing } = await depot.closure(signed, { base: lean, vouched });
      if (missing.length === 0) return;
      const open = (await copiesOf(ledger.db, row.id)).filter(
        ({ phase }) => phase !== 'safe' && phase !== 'void',
      );
      const owed = this.#country.centers.filter(({ face }) => open.some(({ center }) => center === face.id));
      for (const center of owed) {
        if (center.running === null) return;
        const there = await center.running.depot.has(null, missing);
        assert.equal(
          there.size,
          missing.length,
          `${relay.name} has in custody ${nameOf(row)}, of which ${missing.length} blocks are neither there nor at ${center.name}`,
        );
      }
      for (const id of missing) {
        assert.ok(!vouched.has(id), `${relay.name} has all pages of ${nameOf(row)}`);
        vouched.add(id);
      }
    }
  }
}

const nameOf = ({ id, client, job, sequence }: SnapshotRow): string =>
  `${id.slice(0, 12)} (${job}#${sequence} of ${client.slice(0, 8)})`;
const said = (name: string, row: SnapshotRow, { phase, center }: CopyRow, what: string): string =>
  `${name} says that ${nameOf(row)} is ${phase} at ${center.slice(0, 8)}, ${what}`;

/** Of an agent at the end: nothing is open any more. */
export async function openCopies(agent: AgentMachine): Promise<string[]> {
  const { ledger } = agent.running!.parts;
  const open: string[] = [];
  for (const row of await listSnapshots(ledger.db)) {
    for (const copy of await copiesOf(ledger.db, row.id)) {
      if (copy.phase !== 'safe' && copy.phase !== 'void')
        open.push(`${agent.name} ${nameOf(row)} at ${copy.center.slice(0, 8)}: ${copy.phase} ${copy.code}`);
    }
    if (row.pack_group !== null) open.push(`${agent.name} ${nameOf(row)} is in the spool`);
  }
  return open;
}
