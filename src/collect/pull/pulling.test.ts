import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { NEVER, SmallFleet } from '../../../test/support/fleet-kit.ts';
import { pullInto, receiptedAt } from '../../../test/support/pull-kit.ts';
import { assertRestoresFrom } from '../../../test/crash/checks.ts';
import { parsePackName } from '../../depot/pack-format.ts';
import { openReceipt } from '../../format/receipt.ts';
import { copiesOf } from '../../ledger/copies.ts';
import { isLowtideError, LowtideError } from '../../model/errors.ts';
import type { SnapshotId } from '../../model/ids.ts';
import { HOUR_MS, MINUTE_MS } from '../../model/time.ts';
import { parseRate } from '../../schedule/rate-text.ts';
import { parseWindows } from '../../schedule/windows.ts';
import type { CenterMachine } from '../../sim/machines.ts';

const CONDITIONS = { windows: 'any', zone: 'UTC', streams: 2 };

interface Night {
  readonly small: SmallFleet;
  readonly rome: CenterMachine;
  /** Oldest first, each with the one before for its base. */
  readonly snapshots: readonly SnapshotId[];
}

/** Oslo has three snapshots of Ann's; Rome is new and has nothing. */
async function night(seed: string | number = 1): Promise<Night> {
  const small = await SmallFleet.make({ seed });
  const snapshots: SnapshotId[] = [];
  for (const name of ['c', 'd', 'e']) {
    small.write(name, 8_000);
    snapshots.push(await small.take());
    await small.pass(10 * MINUTE_MS);
  }
  const rome = await small.fleet.addCenter('rome', CONDITIONS);
  return { small, rome, snapshots };
}

async function pullAll({ small, rome }: Night): Promise<void> {
  const pull = await pullInto(small.fleet, rome, [small.center]);
  assert.equal(await small.finish(pull.run(NEVER)), true);
  assert.deepEqual(pull.problems, []);
}

describe('a pull', () => {
  it('brings everything, bases first, each closed by this center with its own receipt; P2', async () => {
    const { small, rome, snapshots } = await night();
    const pull = await pullInto(small.fleet, rome, [small.center]);
    assert.equal(await small.finish(pull.run(NEVER)), true);
    const { phase, clients, keyrings, pulled, failed, refused } = pull.progress;
    assert.deepEqual([phase, clients, keyrings, pulled, failed, refused], ['done', 1, 1, 3, 0, 0]);
    const committed = small.simulation.recorder.events('committed', 'rome').map(({ snapshot }) => snapshot);
    assert.deepEqual(committed, snapshots);
    for (const id of snapshots) {
      const copies = await small.finish(copiesOf(rome.running!.ledger.db, id));
      assert.equal(copies.length, 2, "Oslo's receipt is kept beside Rome's");
      for (const { face } of [rome, small.center]) {
        const { receipt } = copies.find(({ center }) => center === face.id)!;
        assert.equal(openReceipt(receipt!, face.receiptKey).snapshot, id);
      }
    }
    // Oslo is gone for ever.
    small.center.crash();
    await assertRestoresFrom(rome, small.agent, snapshots[2]!, '/home');
  });

  it('done again fetches nothing, and of a later snapshot only what is new', async () => {
    const all = await night();
    const { small, rome } = all;
    await pullAll(all);
    const again = await pullInto(small.fleet, rome, [small.center]);
    await small.finish(again.run(NEVER));
    assert.deepEqual([again.progress.snapshots, again.progress.bytes, again.progress.keyrings], [0, 0, 0]);
    small.write('f', 5_000);
    await small.take();
    await small.pass(10 * MINUTE_MS);
    const more = await pullInto(small.fleet, rome, [small.center]);
    await small.finish(more.run(NEVER));
    assert.equal(more.progress.pulled, 1);
    assert.ok(more.progress.bytes > 5_000 && more.progress.bytes < 20_000, `${more.progress.bytes} bytes`);
  });

  it('met by a power loss of either side at any point is made whole by the next one', async () => {
    const calm = await night();
    const { operations } = calm.small.simulation;
    const first = operations.count;
    await pullAll(calm);
    const last = operations.count;
    for (let point = 0; point < 6; point++) {
      const all = await night();
      const { small, rome, snapshots } = all;
      const index = first + Math.floor(((last - first) * (point + 0.5)) / 6);
      small.fleet.crashAt(index, point % 2 === 0 ? 'before' : 'after');
      for (let attempt = 0; attempt < 5; attempt++) {
        await small.simulation.runUntil(
          () => rome.running !== null && small.center.running !== null,
          Infinity,
        );
        if ((await receiptedAt(small.fleet, rome)).length === 3) break;
        const { running } = rome;
        const pull = await pullInto(small.fleet, rome, [small.center]);
        let over = false;
        void pull.run(NEVER).then(
          () => (over = true),
          () => (over = true),
        );
        await small.simulation.runUntil(() => over || rome.running !== running, Infinity);
      }
      assert.deepEqual(await receiptedAt(small.fleet, rome), snapshots, `power loss at operation ${index}`);
      await small.simulation.runUntil(() => small.agent.running !== null, Infinity);
      const closure = await small.finish(
        rome.running!.depot.closure(await small.finish(rome.running!.depot.manifest(snapshots[2]!))),
      );
      assert.deepEqual(closure.missing, []);
    }
  });

  it('keeps to its own hours and its own rate', async () => {
    const { small, rome } = await night();
    const pull = await pullInto(small.fleet, rome, [small.center], {
      windows: parseWindows('22:00-23:00', 'UTC'),
      rate: parseRate('1 kB/s', 'UTC'),
    });
    let done = false;
    void pull.run(NEVER).then(() => (done = true));
    await small.pass(5 * HOUR_MS);
    assert.equal(pull.progress.phase, 'closed');
    assert.equal(pull.progress.bytes, 0);
    const opens = pull.progress.until!;
    assert.equal(new Date(opens).toISOString().slice(11, 16), '22:00');
    await small.simulation.runUntil(() => done, opens + HOUR_MS);
    const { bytes } = pull.progress;
    assert.ok(small.simulation.now - opens >= bytes - 10_000, 'a thousand bytes a second');
  });

  it('whose hours end amid a snapshot goes on in the next ones with what is lacking', async () => {
    const { small, rome, snapshots } = await night();
    const pull = await pullInto(small.fleet, rome, [small.center], {
      windows: parseWindows('22:00-22:01', 'UTC'),
      rate: parseRate('1 kB/s', 'UTC'),
    });
    await small.finish(pull.run(NEVER));
    assert.deepEqual(await receiptedAt(small.fleet, rome), snapshots);
    const days = (small.simulation.now - small.simulation.start) / (24 * HOUR_MS);
    assert.ok(days > 1, 'it took more than one night');
    assert.ok(pull.progress.bytes < 100_000, 'nothing came twice');
  });
});

describe('what a source has lost or changed', () => {
  /** Flips bits in the packs of Oslo. */
  function damage({ center }: SmallFleet, every: number): void {
    const { disk } = center.node;
    for (const path of disk.paths()) {
      const [, name] = /\/store\/packs\/(?:.*\/)?([^/]+)$/.exec(path) ?? [];
      if (name === undefined || parsePackName(name) === null) continue;
      const { length } = disk.bytesOf(path);
      for (let at = every; at < length; at += every) disk.corrupt(path, at, 0x10);
    }
  }

  it('is named by snapshot, and the others come', async () => {
    const { small, rome, snapshots } = await night();
    // One bit in the middle: the oldest snapshot has most of what is there.
    damage(small, 40_000);
    const pull = await pullInto(small.fleet, rome, [small.center]);
    assert.equal(await small.finish(pull.run(NEVER)), true);
    const receipted = await receiptedAt(small.fleet, rome);
    const failed = pull.problems.map(({ snapshot }) => snapshot!);
    assert.ok(failed.length > 0);
    assert.deepEqual([...receipted, ...failed].toSorted(), snapshots.toSorted());
    for (const { code, message } of pull.problems) {
      assert.equal(code, 'block-unavailable');
      assert.match(message, /^oslo cannot give/);
    }
    // What leans on it was looked through whole, since nobody here vouches for its base.
    for (const id of receipted) {
      const { depot } = rome.running!;
      const signed = await small.finish(depot.manifest(id));
      assert.deepEqual((await small.finish(depot.closure(signed))).missing, []);
    }
  });

  it('of a manifest is named too, and what leans on that snapshot comes whole', async () => {
    const { small, rome, snapshots } = await night();
    const { disk } = small.center.node;
    disk.corrupt(`/var/lib/lowtide/store/manifests/${snapshots[1]!}`, 60, 0x10);
    const pull = await pullInto(small.fleet, rome, [small.center]);
    assert.equal(await small.finish(pull.run(NEVER)), true);
    assert.deepEqual(
      pull.problems.map(({ snapshot, code }) => [snapshot, code]),
      [[snapshots[1], 'damaged-manifest']],
    );
    assert.deepEqual(await receiptedAt(small.fleet, rome), [snapshots[0], snapshots[2]]);
    await assertRestoresFrom(rome, small.agent, snapshots[2]!, '/home');
  });

  it('comes from the next source; bad blocks are refused and counted', async () => {
    const all = await night();
    const { small, rome, snapshots } = all;
    await pullAll(all);
    const turin = await small.fleet.addCenter('turin', CONDITIONS);
    const pull = await pullInto(small.fleet, turin, [small.center, rome], {}, (api, node) => {
      if (node !== small.center) return api;
      return {
        ...api,
        async *fetch(scope, ids, stop) {
          for await (const block of api.fetch(scope, ids, stop)) {
            const bytes = new Uint8Array(block.bytes);
            bytes[bytes.length - 1]! ^= 1;
            yield { id: block.id, bytes };
          }
        },
      };
    });
    assert.equal(await small.finish(pull.run(NEVER)), true);
    assert.deepEqual(await receiptedAt(small.fleet, turin), snapshots);
    assert.ok(pull.progress.refused > 0);
    assert.deepEqual(pull.problems, []);
  });

  it('cannot be made up: a manifest, keyring or client that nobody signed is left out', async () => {
    const { small, rome } = await night();
    const eve = (await pullInto(small.fleet, rome, [small.center])).progress;
    assert.equal(eve.phase, 'records');
    const pull = await pullInto(small.fleet, rome, [small.center], {}, (api) => ({
      ...api,
      async clients(after) {
        const page = await api.clients(after);
        return {
          ...page,
          rows: page.rows.map((row) => ({ ...row, instanceKey: new Uint8Array(32).fill(7) })),
        };
      },
      async copies(query) {
        const page = await api.copies(query);
        const rows = page.rows.map((row) => {
          const manifest = row.manifest === null ? null : new Uint8Array(row.manifest);
          if (manifest !== null) manifest[manifest.length - 1]! ^= 1;
          return { ...row, manifest };
        });
        return { ...page, rows };
      },
    }));
    assert.equal(await small.finish(pull.run(NEVER)), true);
    assert.deepEqual(await receiptedAt(small.fleet, rome), []);
    assert.deepEqual(new Set(pull.problems.map(({ code }) => code)), new Set(['wrong-signature']));
  });

  it('that cannot be reached at all is said after many attempts, and nothing is lost by it', async () => {
    const { small, rome } = await night();
    const pull = await pullInto(small.fleet, rome, [small.center], {}, (api) => ({
      ...api,
      copies: async () => {
        await rome.running!.world.clock.sleep(1);
        throw new LowtideError('center-unreachable', 'the line is down');
      },
    }));
    await assert.rejects(small.finish(pull.run(NEVER)), (error) =>
      isLowtideError(error, 'center-unreachable'),
    );
    assert.deepEqual(await receiptedAt(small.fleet, rome), []);
  });
});
