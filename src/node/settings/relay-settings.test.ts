import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { after, before, beforeEach, test } from 'node:test';
import { realWorld, type TestWorld } from '../../../test/support/real-world.ts';
import { centerFace } from '../../identity/token.ts';
import { isLowtideError } from '../../model/errors.ts';
import { createRelayConfig, readRelayConfig } from './relay-settings.ts';

let world: TestWorld;
let path: string;
let count = 0;
before(async () => void (world = await realWorld()));
after(() => world.dispose());
beforeEach(() => void (path = `${world.directory}/${++count}.yaml`));

const tokyo = centerFace('tokyo', new Uint8Array(32).fill(1));
const osaka = centerFace('osaka', new Uint8Array(32).fill(2));
const twin = centerFace('osaka', new Uint8Array(32).fill(3));
const config = {
  conditions: { windows: '22:00-08:00', zone: 'Asia/Tokyo', streams: 3 },
  listen: { host: '0.0.0.0', port: 7700 },
  addresses: [{ host: 'shop.example', port: 7700 }],
  transfer: { windows: '01:00-05:00', zone: 'UTC' },
};

test('relay.yaml gives back what it was made of, sizes in bytes', async () => {
  await createRelayConfig(world, path, { ...config, store: '2 GB', cache: '512 MiB' });
  const rest = { storeBytes: 2e9, cacheBytes: 2 ** 29, centers: [], yield: false };
  const read = await readRelayConfig(world, path, []);
  const { rates, freeSpace, targets, written, ceilings, notWhile, ...conditions } = read.conditions;
  assert.deepEqual({ ...read, conditions }, { ...config, ...rest });
  assert.deepEqual([rates?.total, freeSpace, targets?.usual], ['unlimited', 0.05, null]);
  assert.deepEqual([ceilings?.load, notWhile, written?.['zone']], [null, [], config.conditions.zone]);
});

test('centers are named by name, id or its first digits; one that no way leads to by its id only', async () => {
  const away = 'ab'.repeat(16);
  const good = 'zone: UTC\ntransferZone: UTC\naddresses: [a]\n';
  await writeFile(path, `${good}centers: [tokyo, ${osaka.id}, ${twin.id.slice(0, 10)}, ${away}]\n`);
  const { centers } = await readRelayConfig(world, path, [tokyo, osaka, twin]);
  assert.deepEqual(centers, [tokyo.id, osaka.id, twin.id, away]);
});

test('a mistake in relay.yaml is told with its place', async () => {
  const good = 'zone: UTC\ntransferZone: UTC\naddresses: [a]\n';
  const cases: [text: string, place: RegExp][] = [
    [`${good}transfer: 25-26\n`, /:4:11: the schedule/],
    ['zone: UTC\ntransferZone: Mars\naddresses: [a]\n', /:2:15: .*is not a time zone/],
    [`${good}store: much\n`, /:4:8: "much" is not a size/],
    [`${good}store: 1 GiB\ncache: 2 GiB\n`, /:5:8: the cache is a part of the store/],
    [`${good}centers: [tokyo, kyoto]\n`, /:4:18: no way leads to a center kyoto; known: tokyo, osaka, osaka/],
    [`${good}centers: [osaka]\n`, /:4:11: there are 2 called osaka: write the id/],
    [`${good}windows: 22-8\n`, /:4:10: the schedule/],
    [`${good}colour: red\n`, /:4:1: unknown key colour: expected one of windows, .*transfer/],
  ];
  for (const [text, place] of cases) {
    await writeFile(path, text);
    await assert.rejects(readRelayConfig(world, path, [tokyo, osaka, twin]), (error) => {
      assert.ok(isLowtideError(error, 'bad-config'), String(error));
      assert.match(error.message, place);
      return true;
    });
  }
});
