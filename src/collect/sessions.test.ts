import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CollectKit, START, type TestClient } from '../../test/support/collect-kit.ts';
import { setRevoked } from '../ledger/clients.ts';
import { isLowtideError } from '../model/errors.ts';
import type { Hello } from '../model/exchange.ts';
import type { ClientId } from '../model/ids.ts';

const helloOf = (client: TestClient, session: string | null): Hello => ({
  protocol: 1,
  client: client.id,
  instance: client.instance,
  software: 'test',
  session,
  clock: START,
});

/** A machine as far as sessions go: it shows the token that it got last. */
class Machine {
  readonly #client: TestClient;
  token: string | null = null;

  constructor(client: TestClient, token: string | null = null) {
    this.#client = client;
    this.token = token;
  }

  /** The code of the refusal, or 'ok'. A lost answer teaches the machine nothing. */
  async hello(answer: 'heard' | 'lost' = 'heard'): Promise<string> {
    try {
      const welcome = await this.#client.api.hello(helloOf(this.#client, this.token));
      if (answer === 'heard') this.token = welcome.session;
      return 'ok';
    } catch (error) {
      if (!isLowtideError(error)) throw error;
      return error.code;
    }
  }
}

describe('sessions', () => {
  it('have a new token each', async () => {
    const kit = await CollectKit.make();
    const ann = await kit.client('ann');
    const tokens = new Set<string | null>();
    const machine = new Machine(ann);
    for (let count = 0; count < 4; count++) {
      assert.equal(await machine.hello(), 'ok');
      tokens.add(machine.token);
    }
    assert.equal(tokens.size, 4);
    assert.deepEqual(kit.alarms, []);
  });

  it('go on after lost answers, however many, without an alarm', async () => {
    const kit = await CollectKit.make();
    const machine = new Machine(await kit.client('ann'));
    for (const answer of ['lost', 'lost', 'heard', 'lost', 'lost', 'lost', 'heard', 'heard'] as const) {
      assert.equal(await machine.hello(answer), 'ok');
    }
    await kit.restart();
    assert.equal(await machine.hello(), 'ok');
    assert.deepEqual(kit.alarms, []);
  });

  it('go on on a machine that was put back from an old image, or has lost its token', async () => {
    const kit = await CollectKit.make();
    const ann = await kit.client('ann');
    const machine = new Machine(ann);
    await machine.hello();
    const old = machine.token;
    for (let count = 0; count < 3; count++) await machine.hello();
    machine.token = old;
    assert.deepEqual(
      [await machine.hello('lost'), await machine.hello(), await machine.hello()],
      ['ok', 'ok', 'ok'],
    );
    machine.token = null;
    assert.deepEqual([await machine.hello(), await machine.hello()], ['ok', 'ok']);
    assert.deepEqual(kit.alarms, []);
  });

  it('of two machines with one identity are found out within a few, whoever began', async () => {
    const kit = await CollectKit.make();
    const ann = await kit.client('ann');
    const one = new Machine(ann);
    await one.hello();
    const clone = new Machine(ann, one.token);
    const codes: string[] = [];
    for (let round = 0; round < 4; round++) codes.push(await one.hello(), await clone.hello());
    const first = codes.indexOf('clone-suspected');
    assert.ok(first > 0 && first <= 4, codes.join(' '));
    assert.ok(kit.alarms.length >= 2 && kit.alarms.every((code) => code === 'clone-suspected'));
    assert.ok(codes.filter((code) => code === 'ok').length >= 4, 'neither is locked out for ever');
  });

  it('are refused to who is not enrolled, was shut out, or gives another name', async () => {
    const kit = await CollectKit.make();
    const [ann, ben] = [await kit.client('ann'), await kit.client('ben')];
    await setRevoked(kit.ledger.db, ben.id, START);
    assert.equal(await new Machine(ben).hello(), 'revoked');
    const stranger = '12'.repeat(16) as ClientId;
    const api = kit.collector.apiFor(stranger, null);
    await assert.rejects(api.hello({ ...helloOf(ann, null), client: stranger }), (error) =>
      isLowtideError(error, 'not-enrolled'),
    );
    await assert.rejects(api.hello(helloOf(ann, null)), (error) => isLowtideError(error, 'forbidden'));
  });

  it('say who the center is and when it collects', async () => {
    const kit = await CollectKit.make({ conditions: { windows: '22:00-06:00' } });
    const ann = await kit.client('ann');
    const welcome = await ann.api.hello(helloOf(ann, null));
    assert.equal(welcome.center.id, kit.face.id);
    assert.equal(welcome.windows, '22:00-06:00');
    assert.equal(welcome.clock, START);
    await kit.restart();
    const again = await ann.api.hello(helloOf(ann, welcome.session));
    assert.equal(again.incarnation, welcome.incarnation, 'a restart is no new ledger');
  });
});
