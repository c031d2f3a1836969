import assert from 'node:assert/strict';
import { it } from 'node:test';
import { RelayKit } from '../../../test/support/relay-kit.ts';
import { HOUR_MS, MINUTE_MS } from '../../model/time.ts';
import type { CenterMachine } from '../../sim/machines.ts';
import { catalog, historyLines } from './view.ts';

async function broughtTo(kit: RelayKit, { running, face }: CenterMachine): Promise<string[]> {
  const rows = await kit.finish(catalog(running!.ledger.db, { center: face.id }));
  return rows.map(({ clientName, via }) => `${clientName} ${via.join(' ')}`.trim()).toSorted();
}

it('a center knows by which relays each backup came (SEED fig. 6)', async () => {
  const kit = new RelayKit();
  const tokyo = await kit.center('tokyo');
  const osaka = await kit.relay('osaka', [tokyo]);
  const kobe = await kit.relay('kobe', [osaka]);
  const [far, near, direct] = [
    await kit.agent('far', [kobe]),
    await kit.agent('near', [osaka]),
    await kit.agent('direct', [tokyo]),
  ];
  for (const agent of [far, near, direct]) await kit.take(agent);
  await kit.pass(HOUR_MS);
  assert.deepEqual(await broughtTo(kit, tokyo), ['direct', 'far kobe osaka', 'near osaka']);
});

it('where the word of who joined whom leaves two ways, only the sender is named: that is a fact', async () => {
  const kit = new RelayKit();
  const tokyo = await kit.center('tokyo');
  const osaka = await kit.relay('osaka', [tokyo]);
  const [kobe, nara] = [await kit.relay('kobe', [osaka]), await kit.relay('nara', [osaka])];
  const ann = await kit.agent('ann', [kobe, nara]);
  await kit.pass(MINUTE_MS);
  const id = await kit.take(ann);
  await kit.pass(HOUR_MS);
  assert.deepEqual(await broughtTo(kit, tokyo), ['ann osaka']);
  const lines = await kit.finish(historyLines(tokyo.running!.ledger.db, id));
  assert.deepEqual(new Set(lines.map(({ by }) => by)), new Set(['osaka']));
});
