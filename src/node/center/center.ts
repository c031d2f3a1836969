import { Collector } from '../../collect/collector.ts';
import type { Conditions } from '../../collect/parts.ts';
import { Depot } from '../../depot/depot.ts';
import type { SigningKey } from '../../format/signing.ts';
import { Ledger } from '../../ledger/ledger.ts';
import type { CenterFace } from '../../model/exchange.ts';
import type { ClientId } from '../../model/ids.ts';
import type { CenterApi } from '../../protocol/center-api.ts';
import type { World } from '../../world/ports.ts';

export interface CenterOptions {
  /** Data folder: `store/` and `ledger.db` live in it. */
  readonly path: string;
  readonly face: CenterFace;
  readonly receiptKey: SigningKey;
  readonly conditions: Conditions;
}

/** Where backups finally live (SEED 201): collector and depot. */
export class Center {
  readonly world: World;
  readonly depot: Depot;
  readonly ledger: Ledger;
  readonly collector: Collector;

  private constructor(world: World, depot: Depot, ledger: Ledger, collector: Collector) {
    this.world = world;
    this.depot = depot;
    this.ledger = ledger;
    this.collector = collector;
  }

  static async create(world: World, path: string): Promise<void> {
    await Depot.create(world, `${path}/store`);
    await (await Ledger.open(world, `${path}/ledger.db`)).close();
  }

  /** Opens the data folder as its one writer. The collection queue goes on where it was. */
  static async open(world: World, options: CenterOptions): Promise<Center> {
    const { path, face, receiptKey, conditions } = options;
    const depot = await Depot.open(world, `${path}/store`, 'write');
    const ledger = await Ledger.open(world, `${path}/ledger.db`);
    const collector = await Collector.start(
      { world, depot, ledger, center: face, receiptKey, above: null },
      conditions,
    );
    return new Center(world, depot, ledger, collector);
  }

  apiFor(client: ClientId, address: string | null): CenterApi {
    return this.collector.apiFor(client, address);
  }

  async run(stop: AbortSignal): Promise<void> {
    await this.collector.run(stop);
  }

  async close(): Promise<void> {
    await this.ledger.close();
    await this.depot.close();
  }
}
