import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { NEVER } from '../../../test/support/fleet-kit.ts';
import { givers, RelayKit } from '../../../test/support/relay-kit.ts';
import { letRead } from '../../ledger/readers.ts';
import { type ErrorCode, isLowtideError } from '../../model/errors.ts';
import { pathKeyOf } from '../../model/paths.ts';
import { HOUR_MS } from '../../model/time.ts';
import { restoreSnapshot } from '../../restore/restore.ts';
import type { AgentMachine, RelayMachine } from '../../sim/machines.ts';
import { openOther, otherReading } from './other-computer.ts';
import type { Reading } from '../reading.ts';

/** Ann below a relay, with two snapshots of which the relay keeps nothing any more; Ben beside her. */
async function lostBelowRelay(): Promise<Record<'ann' | 'ben', AgentMachine> & LostBelow> {
  const kit = new RelayKit();
  const tokyo = await kit.center('tokyo');
  const osaka = await kit.relay('osaka', [tokyo]);
  const ann = await kit.agent('ann', [osaka]);
  const ben = await kit.agent('ben', [osaka]);
  await kit.take(ann);
  await kit.pass(HOUR_MS);
  kit.write(ann, 'a', 61_000);
  await kit.take(ann);
  await kit.pass(HOUR_MS);
  return { kit, osaka, ann, ben };
}

interface LostBelow {
  readonly kit: RelayKit;
  readonly osaka: RelayMachine;
}

function readingOf(ben: AgentMachine, ann: AgentMachine): Reading {
  const { world, upstreams: ways } = ben.running!.parts;
  const { client, keyring } = ann.identity;
  return otherReading(world, { client, name: 'ann', keyring, ways }, async () => {});
}

describe('the backups of a machine that was lost', () => {
  it('are listed and restored through a relay that keeps neither manifests nor blocks', async () => {
    const { kit, osaka, ann, ben } = await lostBelowRelay();
    const home = ann.node.files.tree('/home');
    await ann.shutDown();
    await kit.finish(letRead(osaka.running!.parts.ledger.db, ben.identity.client, ann.identity.client, 5));
    const reading = readingOf(ben, ann);
    const lines = await kit.finish(reading.list());
    assert.deepEqual(
      lines.map(({ sequence, where, roots }) => [sequence, where, roots]),
      [
        [2, ['tokyo'], ['/home']],
        [1, ['tokyo'], ['/home']],
      ],
    );
    const plan = {
      signed: await kit.finish(reading.manifest(lines[0]!.id)),
      keys: reading.keys,
      sources: reading.sources,
      target: pathKeyOf('/back'),
      paths: [],
      overwrite: 'never',
      owners: 'numbers',
    } as const;
    const report = await kit.finish(restoreSnapshot(ben.running!.parts.world, plan, NEVER));
    assert.ok(report.complete);
    assert.deepEqual(Object.keys(givers(report)), ['relay osaka']);
    assert.deepEqual(ben.node.files.tree('/back/home'), home);
  });

  it('are nobody’s whom the operator did not let', async () => {
    const { kit, osaka, ann, ben } = await lostBelowRelay();
    const { world, upstreams } = ben.running!.parts;
    const secret = { kind: 'recovery', secret: new Uint8Array(32) } as const;
    const refused = async (code: ErrorCode): Promise<void> =>
      await assert.rejects(
        kit.finish(openOther(world, upstreams, ann.identity.client, secret)),
        (error: unknown) => isLowtideError(error, code),
      );
    await refused('not-found');
    await assert.rejects(kit.finish(readingOf(ben, ann).manifest('ab'.repeat(32) as never)));
    assert.deepEqual(await kit.finish(readingOf(ben, ann).list()), []);
    await kit.finish(letRead(osaka.running!.parts.ledger.db, ben.identity.client, ann.identity.client, 5));
    await refused('wrong-key');
    kit.fleet.network.cut('ben', 'osaka');
    await refused('center-unreachable');
  });
});
