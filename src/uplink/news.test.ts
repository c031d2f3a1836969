import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { RelayKit } from '../../test/support/relay-kit.ts';
import type { SnapshotId } from '../model/ids.ts';
import { HOUR_MS, MINUTE_MS, SECOND_MS } from '../model/time.ts';
import type { Meddle } from '../sim/joining.ts';
import { knownConditions } from './conditions.ts';
import { News } from './news.ts';

const id = (number: number): SnapshotId => number.toString(16).padStart(64, '0') as SnapshotId;

describe('R31: news', () => {
  it('of some snapshots has these asked about, and no others, however many wait', async () => {
    const kit = new RelayKit();
    const tokyo = await kit.center('tokyo', { windows: '20:00-21:00' });
    const osaka = await kit.relay('osaka', [tokyo]);
    const asked: number[] = [];
    const counting: Meddle = (api) => ({
      ...api,
      copies: async (query) => {
        asked.push(query.snapshots?.length ?? 0);
        return await api.copies(query);
      },
    });
    const ann = await kit.agent('ann', [osaka], counting);
    const waiting = 12;
    for (let at = 0; at < waiting; at++) {
      kit.write(ann, `f${at}`, 100);
      await kit.take(ann);
      await kit.pass(MINUTE_MS);
    }
    await kit.pass(8 * HOUR_MS - (waiting + 1) * MINUTE_MS);
    asked.length = 0;
    await kit.pass(10 * MINUTE_MS);
    assert.equal((await kit.states(ann)).filter((line) => line.endsWith(': safe')).length, waiting);
    const sum = asked.reduce((all, each) => all + each, 0);
    assert.ok(sum <= 3 * waiting, `asked about ${sum} snapshots when ${waiting} became safe`);
  });

  it('that is none costs three questions to the ledger for each answer, and none for each copy', async () => {
    const kit = new RelayKit();
    const tokyo = await kit.center('tokyo', { windows: '20:00-21:00' });
    const osaka = await kit.relay('osaka', [tokyo]);
    const ann = await kit.agent('ann', [osaka]);
    const { parts, uplinks } = ann.running!;
    const asked = async (): Promise<number> => {
      const { db } = parts.ledger;
      const execute = db.executeQuery.bind(db);
      let count = 0;
      db.executeQuery = async (query) => {
        count++;
        return await execute(query);
      };
      await kit.finish(uplinks[0]!.refresh());
      db.executeQuery = execute;
      return count;
    };
    const counts: number[] = [];
    for (const name of ['a', 'b']) {
      kit.write(ann, name, 100);
      await kit.take(ann);
      await kit.pass(5 * MINUTE_MS);
      await asked();
      counts.push(await asked());
    }
    assert.equal((await kit.states(ann)).filter((line) => line.endsWith(': held')).length, 2);
    // One for what is open; here each answer is about one snapshot.
    assert.deepEqual(counts, [1 + 3, 1 + 2 * 3]);
  });

  it('of the hours of a node that has changed them comes to who is connected, and is checked like those of a welcome', async () => {
    const kit = new RelayKit();
    const tokyo = await kit.center('tokyo', { windows: '20:00-21:00' });
    const ann = await kit.agent('ann', [tokyo]);
    const { ledger } = ann.running!.parts;
    const known = async () => await kit.finish(knownConditions(ledger, tokyo.face.id));
    await kit.pass(MINUTE_MS);
    assert.deepEqual(await known(), { windows: '20:00-21:00', zone: 'UTC' });
    const { collector } = tokyo.running!;
    collector.setConditions({ windows: '02:00-03:00', zone: 'Asia/Tokyo', streams: 1 });
    await kit.pass(SECOND_MS);
    assert.deepEqual(await known(), { windows: '02:00-03:00', zone: 'Asia/Tokyo' });
    collector.book.send(ann.identity.client, { kind: 'policy', windows: '99:99', zone: 'UTC' });
    await kit.pass(SECOND_MS);
    assert.deepEqual(await known(), { windows: '02:00-03:00', zone: 'Asia/Tokyo' });
    assert.equal(ann.running!.uplinks[0]!.status.connected, true);
  });

  it('of too many, or of nobody knows which, is news of all; and what was taken is no news any more', () => {
    const news = new News();
    assert.deepEqual(news.take(), []);
    news.add([id(1), id(2)]);
    news.add([id(2)]);
    assert.deepEqual(news.take(), [id(1), id(2)]);
    assert.deepEqual(news.take(), []);
    news.add([id(1)]);
    news.add();
    news.add([id(3)]);
    assert.equal(news.take(), 'any');
    for (let at = 0; at < 1001; at++) news.add([id(at)]);
    assert.equal(news.take(), 'any');
    assert.deepEqual(news.take(), []);
  });
});
