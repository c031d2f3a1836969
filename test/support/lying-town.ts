import assert from 'node:assert/strict';
import { findCopy } from '../../src/ledger/copies.ts';
import { findSnapshot } from '../../src/ledger/snapshots.ts';
import type { CopyRecord } from '../../src/model/exchange.ts';
import type { SnapshotId } from '../../src/model/ids.ts';
import { HOUR_MS, MINUTE_MS } from '../../src/model/time.ts';
import { spoolBytes } from '../../src/node/agent/spool.ts';
import type { CenterApi } from '../../src/protocol/center-api.ts';
import type { AgentMachine, CenterMachine, RelayMachine } from '../../src/sim/machines.ts';
import { RelayKit } from './relay-kit.ts';

/** ann sends to tokyo by osaka, who lies as the test says; osaka has hours in which it passes nothing on. */
export class Town {
  readonly kit = new RelayKit();
  tokyo!: CenterMachine;
  osaka!: RelayMachine;
  ann!: AgentMachine;
  lie: (api: CenterApi) => CenterApi = (api) => api;

  static async make(transfer = 'never'): Promise<Town> {
    const town = new Town();
    const { kit } = town;
    town.tokyo = await kit.center('tokyo');
    town.osaka = await kit.relay('osaka', [town.tokyo], { transfer: { windows: transfer, zone: 'UTC' } });
    // The lie of the moment, also on a connection that was made before.
    const lying = (api: CenterApi): CenterApi =>
      new Proxy(api, { get: (_, method) => town.lie(api)[method as keyof CenterApi] });
    town.ann = await kit.agent('ann', [town.osaka], lying);
    return town;
  }

  /** Every page of copies is changed like this. */
  lieOnCopies(change: (row: CopyRecord) => CopyRecord | readonly CopyRecord[]): void {
    this.lie = (api) => ({
      ...api,
      copies: async (query) => {
        const page = await api.copies(query);
        return { ...page, rows: page.rows.flatMap(change) };
      },
    });
  }

  get parts() {
    return this.ann.running!.parts;
  }

  async take(): Promise<SnapshotId> {
    return await this.kit.take(this.ann);
  }

  /** Long enough for the relay to be asked again and again. */
  async listen(): Promise<void> {
    for (let count = 0; count < 3; count++) {
      await this.kit.restart(this.osaka);
      await this.kit.pass(5 * MINUTE_MS);
    }
  }

  async phase(id: SnapshotId): Promise<string> {
    const copy = await this.kit.finish(findCopy(this.parts.ledger.db, id, this.tokyo.face.id));
    return `${copy!.phase} ${copy!.code}`.trimEnd();
  }

  /** Everything is in the spool still, whatever was said. */
  async keepsAll(id: SnapshotId): Promise<void> {
    const row = await this.kit.finish(findSnapshot(this.parts.ledger.db, id));
    assert.notEqual(row!.pack_group, null);
    assert.ok((await this.kit.finish(spoolBytes(this.parts))) > 80_000);
  }

  get alarms(): string[] {
    return this.kit.alarmCodes('ann');
  }

  /** The relay is honest from now on: in the end all is well. */
  async endsWell(id: SnapshotId): Promise<void> {
    this.lie = (api) => api;
    Object.assign(this.osaka.options, { transfer: { windows: 'any', zone: 'UTC' } });
    await this.kit.restart(this.osaka);
    await this.kit.restart(this.ann);
    await this.kit.pass(2 * HOUR_MS);
    assert.equal(await this.phase(id), 'safe');
    assert.equal(await this.kit.finish(spoolBytes(this.parts)), 0);
  }
}
