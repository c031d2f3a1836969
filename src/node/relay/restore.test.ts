import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DATA, NEVER } from '../../../test/support/fleet-kit.ts';
import { givers, RelayKit } from '../../../test/support/relay-kit.ts';
import type { SealedBlock } from '../../format/block.ts';
import { isLowtideError } from '../../model/errors.ts';
import type { CopyRecord } from '../../model/exchange.ts';
import type { BlockId, SnapshotId } from '../../model/ids.ts';
import { HOUR_MS, MINUTE_MS } from '../../model/time.ts';
import type { CenterApi } from '../../protocol/center-api.ts';
import type { AgentMachine } from '../../sim/machines.ts';
import { SourceCosts } from '../agent/source-costs.ts';
import { agentSources, findManifest } from '../agent/sources.ts';

const isUnknown = (error: unknown): boolean => isLowtideError(error, 'no-such-snapshot');

const same = (agent: AgentMachine, to: string): void =>
  assert.deepEqual(agent.node.files.tree(`${to}/home`), agent.node.files.tree('/home'));

/** Another byte in each block that is fetched. */
const damaging = (api: CenterApi): CenterApi => ({
  ...api,
  async *fetch(...values) {
    for await (const { id, bytes } of api.fetch(...values)) {
      const damaged = Buffer.from(bytes);
      damaged[damaged.length - 1]! ^= 1;
      yield { id, bytes: damaged };
    }
  },
});

describe('P2: a restore through a relay', () => {
  it('gets what the relay has let go from above it, outside all windows', async () => {
    const kit = new RelayKit();
    const tokyo = await kit.center('tokyo');
    const osaka = await kit.relay('osaka', [tokyo]);
    const ann = await kit.agent('ann', [osaka]);
    const id = await kit.take(ann);
    await kit.pass(HOUR_MS);
    osaka.running!.collector.setConditions({ windows: 'never', zone: 'UTC', streams: 0 });
    tokyo.running!.collector.setConditions({ windows: 'never', zone: 'UTC', streams: 0 });
    const report = await kit.restore(ann, id, '/back');
    assert.ok(report.complete);
    assert.deepEqual(Object.keys(givers(report)), ['spool', 'relay osaka']);
    same(ann, '/back');
  });

  it('gets a manifest and blocks through a chain of relays that keep neither', async () => {
    const kit = new RelayKit();
    const tokyo = await kit.center('tokyo');
    const osaka = await kit.relay('osaka', [tokyo]);
    const kobe = await kit.relay('kobe', [osaka]);
    const ann = await kit.agent('ann', [kobe]);
    const first = await kit.take(ann);
    await kit.pass(HOUR_MS);
    const before = ann.node.files.tree('/home');
    for (const size of [61_000, 62_000]) {
      kit.write(ann, 'a', size);
      await kit.take(ann);
      await kit.pass(HOUR_MS);
    }
    for (const { running } of [ann, kobe, osaka]) {
      const { depot } = running!.parts;
      assert.equal(await kit.finish(depot.hasManifest(first)), false);
    }
    const report = await kit.restore(ann, first, '/back');
    assert.ok(report.complete);
    assert.ok(givers(report)['relay kobe']! > 0);
    assert.deepEqual(ann.node.files.tree('/back/home'), before);
  });

  it('leaves a slow relay for a center, and asks that first the next time', async () => {
    const kit = new RelayKit();
    const tokyo = await kit.center('tokyo');
    const osaka = await kit.relay('osaka', [tokyo]);
    const ann = await kit.agent('ann', [osaka, tokyo]);
    const id = await kit.take(ann);
    await kit.pass(HOUR_MS);
    kit.fleet.network.setLine('osaka', 'ann', { bytesPerSecond: 1500 });
    const first = await kit.restore(ann, id, '/first');
    assert.ok(first.complete);
    const [slow, quick] = [givers(first)['relay osaka']!, givers(first)['center tokyo']!];
    assert.ok(slow > 0 && quick > slow, JSON.stringify(givers(first)));
    const second = await kit.restore(ann, id, '/second');
    assert.equal(givers(second)['relay osaka'], undefined);
    same(ann, '/first');
    same(ann, '/second');
  });

  it('expects more of the own disk than of the quickest line', async () => {
    const kit = new RelayKit();
    const tokyo = await kit.center('tokyo');
    const ann = await kit.agent('ann', [tokyo]);
    const costs = new SourceCosts({ 'center tokyo': { latencyMs: 1, bytesPerSecond: 500e6 } });
    const sources = agentSources(ann.running!.parts, costs);
    const [spool, center] = sources.map(({ cost }) => cost!.estimate(2 ** 30));
    assert.ok(spool! < center!);
  });

  it('goes on from a center when the relay vanishes in the middle of it', async () => {
    const kit = new RelayKit();
    const tokyo = await kit.center('tokyo');
    const osaka = await kit.relay('osaka', [tokyo]);
    let given = 0;
    const ann = await kit.agent('ann', [osaka, tokyo], (api, node) => ({
      ...api,
      async *fetch(...values) {
        for await (const block of api.fetch(...values)) {
          yield block;
          if (node === osaka && ++given === 5) osaka.crash();
        }
      },
    }));
    const id = await kit.take(ann);
    await kit.pass(HOUR_MS);
    const report = await kit.restore(ann, id, '/back');
    assert.ok(report.complete);
    assert.ok(givers(report)['relay osaka']! >= 5 && givers(report)['center tokyo']! > 0);
    assert.match(JSON.stringify(report.notes), /relay osaka failed/);
    same(ann, '/back');
  });

  it('takes no bad bytes from a relay, and says whose they were', async () => {
    const kit = new RelayKit();
    const tokyo = await kit.center('tokyo');
    const osaka = await kit.relay('osaka', [tokyo]);
    const ann = await kit.agent('ann', [osaka, tokyo], (api, { face }) =>
      face.kind === 'relay' ? damaging(api) : api,
    );
    const id = await kit.take(ann);
    await kit.pass(HOUR_MS);
    const report = await kit.restore(ann, id, '/back');
    assert.ok(report.complete);
    assert.equal(givers(report)['relay osaka'], undefined);
    assert.match(JSON.stringify(report.notes), /relay osaka has \d+ blocks damaged/);
    same(ann, '/back');
  });

  it('gets through the relay what one center above gives badly and another well', async () => {
    const kit = new RelayKit();
    const [oslo, rome] = [await kit.center('oslo'), await kit.center('rome')];
    const meddle = (api: CenterApi, { name }: { readonly name: string }): CenterApi =>
      name === 'oslo' ? damaging(api) : api;
    const branch = await kit.relay('branch', [oslo, rome], { meddle });
    const ann = await kit.agent('ann', [branch]);
    const id = await kit.take(ann);
    await kit.pass(HOUR_MS);
    const report = await kit.restore(ann, id, '/back');
    assert.ok(report.complete);
    assert.doesNotMatch(JSON.stringify(report.notes), /damaged/);
    same(ann, '/back');
  });

  it('does not wait for a center above that never answers', async () => {
    const kit = new RelayKit();
    const [oslo, rome] = [await kit.center('oslo'), await kit.center('rome')];
    const meddle = (api: CenterApi, { name }: { readonly name: string }): CenterApi =>
      name === 'oslo' ? { ...api, fetch: silent } : api;
    const branch = await kit.relay('branch', [oslo, rome], { meddle });
    const ann = await kit.agent('ann', [branch]);
    const id = await kit.take(ann);
    await kit.pass(HOUR_MS);
    const before = kit.simulation.now;
    const report = await kit.restore(ann, id, '/back');
    assert.ok(report.complete);
    assert.ok(kit.simulation.now - before < MINUTE_MS, `${kit.simulation.now - before} ms`);
  });

  it('gets through the cache of the relay what nothing above can give now', async () => {
    const kit = new RelayKit();
    const tokyo = await kit.center('tokyo');
    const osaka = await kit.relay('osaka', [tokyo], { cacheBytes: 1 << 20 });
    const ann = await kit.agent('ann', [osaka]);
    const id = await kit.take(ann);
    await kit.pass(HOUR_MS);
    tokyo.crash();
    await kit.pass(MINUTE_MS);
    const report = await kit.restore(ann, id, '/back');
    assert.ok(report.complete);
    same(ann, '/back');
  });
});

describe('a snapshot that went another way', () => {
  interface Moved {
    readonly kit: RelayKit;
    readonly ann: AgentMachine;
    readonly ben: AgentMachine;
    readonly id: SnapshotId;
    readonly ids: readonly BlockId[];
  }

  /** ann has sent it to tokyo, and has only the relay osaka now. */
  async function moved(): Promise<Moved> {
    const kit = new RelayKit();
    const tokyo = await kit.center('tokyo');
    const osaka = await kit.relay('osaka', [tokyo]);
    const ann = await kit.agent('ann', [tokyo]);
    const ben = await kit.agent('ben', [osaka]);
    const id = await kit.take(ann);
    await kit.pass(HOUR_MS);
    const ids: BlockId[] = [(await kit.finish(ann.running!.parts.depot.manifest(id))).manifest.tree.id];
    await kit.rejoin(ann, [osaka]);
    await kit.pass(MINUTE_MS);
    ann.node.disk.wipe(`${DATA}/spool/manifests/${id}`);
    assert.equal(await kit.finish(osaka.running!.depot.hasManifest(id)), false);
    return { kit, ann, ben, id, ids };
  }

  const osakaFor = ({ kit }: Moved, agent: AgentMachine): CenterApi =>
    kit.fleet.relays.get('osaka')!.running!.apiFor(agent.identity.client, null);

  it('is found above by the relay, for its owner', async () => {
    const all = await moved();
    const { kit, ann, id } = all;
    const signed = await kit.finish(findManifest(ann.running!.parts, id));
    assert.equal(signed.id, id);
    const report = await kit.restore(ann, id, '/back');
    assert.ok(report.complete);
    assert.ok(givers(report)['relay osaka']! > 0);
    same(ann, '/back');
  });

  it('does not exist for others below the same relay', async () => {
    const all = await moved();
    const { kit, ben, id, ids } = all;
    const nowhere = 'cd'.repeat(32) as SnapshotId;
    const api = osakaFor(all, ben);
    for (const scope of [id, nowhere]) {
      await kit.finish(assert.rejects(Array.fromAsync(api.fetch(scope, ids, NEVER)), isUnknown));
      assert.deepEqual(await kit.finish(api.copies({ snapshots: [scope], manifests: true })), {
        rows: [],
        next: null,
      });
    }
  });

  it('is told of to nobody while nothing above can be asked, in the same words to all', async () => {
    const all = await moved();
    const { kit, ann, ben, id, ids } = all;
    kit.fleet.centers.get('tokyo')!.crash();
    await kit.pass(5 * MINUTE_MS);
    const bens = await kit.take(ben);
    await kit.pass(MINUTE_MS);
    const answers: string[] = [];
    for (const [agent, scope] of [
      [ann, id],
      [ben, id],
      [ann, bens],
    ] as const) {
      const fetching: Promise<SealedBlock[]> = Array.fromAsync(osakaFor(all, agent).fetch(scope, ids, NEVER));
      answers.push(String(await kit.finish(fetching.catch((error: unknown) => error))));
    }
    assert.equal(new Set(answers).size, 1, answers.join());
    assert.match(answers[0]!, /nothing above can be asked/);
  });

  it('is in the list of a machine that lost its own, once, and nobody else hears of it', async () => {
    const all = await moved();
    const { kit, ann, ben, id } = all;
    for (let count = 0; count < 4; count++) {
      kit.write(ann, 'a', 63_000 + count);
      await kit.take(ann);
      await kit.pass(HOUR_MS);
    }
    const listed = async (agent: AgentMachine): Promise<CopyRecord[]> => {
      const rows: CopyRecord[] = [];
      let after: string | null = null;
      do {
        const page: Awaited<ReturnType<CenterApi['copies']>> = await osakaFor(all, agent).copies({
          manifests: true,
          ...(after !== null && { after }),
        });
        rows.push(...page.rows);
        after = page.next;
      } while (after !== null);
      return rows;
    };
    const rows = await kit.finish(listed(ann));
    const tokyo = kit.fleet.centers.get('tokyo')!.face.id;
    assert.equal(rows.filter(({ snapshot, center }) => snapshot === id && center === tokyo).length, 1);
    assert.equal(new Set(rows.map(({ snapshot, center }) => `${snapshot} ${center}`)).size, rows.length);
    assert.equal(new Set(rows.map(({ snapshot }) => snapshot)).size, 5);
    assert.deepEqual(await kit.finish(listed(ben)), []);
  });
});

const silent = (): AsyncIterable<SealedBlock> => ({
  [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => undefined) }),
});
