import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { givers, RelayKit } from '../../../test/support/relay-kit.ts';
import type { SnapshotId } from '../../model/ids.ts';
import { HOUR_MS } from '../../model/time.ts';
import type { CenterApi } from '../../protocol/center-api.ts';
import type { AgentMachine, RelayMachine } from '../../sim/machines.ts';

interface Backbone {
  calls: number;
  bytes: number;
}

/** What osaka had of ann's snapshot went with its cache: only tokyo has it now. */
class Shop {
  readonly kit = new RelayKit();
  readonly backbone: Backbone = { calls: 0, bytes: 0 };
  osaka!: RelayMachine;
  ann!: AgentMachine;
  id!: SnapshotId;

  static async make(cacheBytes: number): Promise<Shop> {
    const shop = new Shop();
    const { kit, backbone } = shop;
    const tokyo = await kit.center('tokyo');
    const counting = (api: CenterApi): CenterApi => ({
      ...api,
      async *fetch(...values) {
        backbone.calls++;
        for await (const block of api.fetch(...values)) {
          backbone.bytes += block.bytes.length;
          yield block;
        }
      },
    });
    shop.osaka = await kit.relay('osaka', [tokyo], { meddle: counting });
    shop.ann = await kit.agent('ann', [shop.osaka]);
    for (let more = 0; more < 6; more++) kit.write(shop.ann, `more-${more}`, 40_000);
    shop.id = await kit.take(shop.ann);
    await kit.pass(HOUR_MS);
    assert.equal(await kit.custody(shop.osaka), 0);
    await kit.restart(shop.osaka);
    await kit.pass(HOUR_MS);
    await shop.setCache(cacheBytes);
    return shop;
  }

  async setCache(cacheBytes: number): Promise<void> {
    this.osaka.options = { ...this.osaka.options, cacheBytes };
    await this.kit.restart(this.osaka);
    await this.kit.pass(HOUR_MS);
  }

  async stored(): Promise<number> {
    return (await this.kit.finish(this.osaka.running!.depot.usage())).bytes;
  }

  /** What it took from above, having come whole. */
  async restore(to: string): Promise<Backbone> {
    const before = { ...this.backbone };
    const report = await this.kit.restore(this.ann, this.id, to);
    assert.ok(report.complete);
    assert.deepEqual(Object.keys(givers(report)), ['spool', 'relay osaka']);
    const { files } = this.ann.node;
    assert.deepEqual(files.tree(`${to}/home`), files.tree('/home'));
    return { calls: this.backbone.calls - before.calls, bytes: this.backbone.bytes - before.bytes };
  }
}

describe('blocks that a relay fetches from above for a restore below', () => {
  it('stay in its cache: the second restore of the same does not go above at all', async () => {
    const shop = await Shop.make(4 << 20);
    const first = await shop.restore('/one');
    assert.ok(first.bytes > 250_000, `${first.bytes} bytes came from above`);
    assert.deepEqual(await shop.restore('/two'), { calls: 0, bytes: 0 });
    await shop.kit.restart(shop.osaka);
    assert.deepEqual(await shop.restore('/three'), { calls: 0, bytes: 0 }, 'they are on its disk');
  });

  it('stay there too for a machine that has joined it to restore, and has sent it nothing yet', async () => {
    const shop = await Shop.make(4 << 20);
    const { kit, ann, backbone } = shop;
    const kobe = await kit.relay('kobe', [shop.osaka], { cacheBytes: 4 << 20 });
    await kit.rejoin(ann, [kobe]);
    await kit.pass(HOUR_MS);
    const sources = async (to: string): Promise<string[]> =>
      Object.keys(givers(await kit.restore(ann, shop.id, to)));
    assert.deepEqual(await sources('/one'), ['spool', 'relay kobe']);
    const { bytes } = backbone;
    assert.ok(bytes > 250_000);
    kit.fleet.network.part('kobe', 'osaka');
    await kit.pass(HOUR_MS);
    assert.deepEqual(await sources('/two'), ['spool', 'relay kobe'], 'with nothing above');
    assert.deepEqual(ann.node.files.tree('/two/home'), ann.node.files.tree('/home'));
    assert.equal(backbone.bytes, bytes);
  });

  it('are not kept without a cache', async () => {
    const shop = await Shop.make(0);
    const before = await shop.stored();
    const first = await shop.restore('/one');
    assert.deepEqual(await shop.restore('/two'), first);
    assert.equal(await shop.stored(), before);
  });

  it('take no more than the cache may have, give or take a pack, and the oldest go first', async () => {
    const cache = 100_000;
    const shop = await Shop.make(cache);
    const { pack_bytes, flush_bytes } = shop.osaka.node.limits;
    for (const to of ['/one', '/two', '/three']) {
      const { bytes } = await shop.restore(to);
      assert.ok(bytes > 100_000, 'more than the cache holds');
      const most = cache + 3 * pack_bytes + flush_bytes;
      assert.ok((await shop.stored()) <= most, `${await shop.stored()} of ${most}`);
      await shop.kit.pass(HOUR_MS);
    }
    const most = cache + 2 * pack_bytes;
    assert.ok((await shop.stored()) <= most, `${await shop.stored()} of ${most}`);
  });

  it('come to the restore all the same when the disk takes none of them', async () => {
    const shop = await Shop.make(4 << 20);
    shop.osaka.node.faults.inject({ kind: 'disk.create', error: 'ENOSPC', times: Infinity });
    const { bytes } = await shop.restore('/one');
    assert.ok(bytes > 250_000);
    assert.ok((await shop.restore('/two')).bytes > 0);
  });
});
