import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { addRow, ANNS_CLIENT } from '../../../test/support/ledger-kit.ts';
import { realWorld, type TestWorld } from '../../../test/support/real-world.ts';
import { createAuthority } from '../../identity/authority.ts';
import { addCenter, type JoinedCenter, loadClientIdentity } from '../../identity/client-identity.ts';
import { copiesOf } from '../../ledger/copies.ts';
import { LowtideError } from '../../model/errors.ts';
import type { CenterFace } from '../../model/exchange.ts';
import { relayPeople } from './people.ts';
import { createRelayHome, openRelayHome, type RelayHome, relayPaths } from './home.ts';

let world: TestWorld;
let folders = 0;
before(async () => void (world = await realWorld()));
after(() => world.dispose());

const away = {
  connect: () => Promise.reject(new LowtideError('center-unreachable', 'nobody is there')),
  close: () => {},
};
const config = {
  conditions: { windows: 'any', zone: 'UTC', streams: 2 },
  listen: { host: '127.0.0.1', port: 7700 },
  addresses: [{ host: 'shop.example', port: 7700 }],
  transfer: { windows: 'any', zone: 'UTC' },
  store: '2 GiB',
  cache: '1 GiB',
};

async function newRelay(): Promise<string> {
  const data = `${world.directory}/relay${folders++}`;
  await createRelayHome(world, data, 'shop', config);
  return data;
}

/** A node above that leads to `centers`, to itself if there are none. */
async function above(name: string, centers: readonly CenterFace[] = []): Promise<JoinedCenter> {
  const kind = centers.length === 0 ? 'center' : 'relay';
  const made = await createAuthority(world, `${world.directory}/above${folders++}`, { name, kind });
  const { face, root, caHash, issuer } = made;
  const rest = {
    caHash,
    ca: root.certificate,
    chain: issuer.certificate,
    name: 'shop',
    role: 'relay',
  } as const;
  const addresses = [{ host: 'localhost', port: 7700 }];
  return { face, centers: centers.length === 0 ? [face] : centers, addresses, ...rest, joinedAt: folders };
}

async function join(data: string, ...joined: readonly JoinedCenter[]): Promise<void> {
  const directory = relayPaths(data).identity;
  for (const node of joined)
    await addCenter(world, directory, await loadClientIdentity(world, directory), node);
}

async function within<T>(data: string, work: (home: RelayHome) => Promise<T>): Promise<T> {
  const home = await openRelayHome(world, data, 'lowtide test', away);
  try {
    return await work(home);
  } finally {
    await home.node.close();
  }
}

const people = (home: RelayHome) => relayPeople({ home, running: false, reload: () => {} });

test('a relay is a client and a node in one folder, made once, and no center', async () => {
  const data = await newRelay();
  await within(data, async ({ authority, client, node }) => {
    assert.equal(authority.face.kind, 'relay');
    assert.deepEqual(new Set<string>([authority.face.id, client.client]).size, 2);
    assert.deepEqual(node.uplinks, []);
  });
  await assert.rejects(createRelayHome(world, data, 'shop', config), { code: 'node-exists' });
  const wrong = { ...config, transfer: { windows: '25-26', zone: 'UTC' } };
  await assert.rejects(createRelayHome(world, `${data}-other`, 'shop', wrong), { code: 'bad-schedule' });
  const big = { ...config, cache: '3 GiB' };
  await assert.rejects(createRelayHome(world, `${data}-big`, 'shop', big), { code: 'bad-config' });
  await createRelayHome(world, `${data}-big`, 'shop', config);
});

test('a relay sees changes of relay.yaml while it is open; a mistake is an alarm, and what was in force stays', async () => {
  const data = await newRelay();
  const tokyo = await above('tokyo');
  await join(data, tokyo);
  const { config: path } = relayPaths(data);
  const text = await readFile(path, 'utf8');
  await within(data, async ({ node, refresh }) => {
    const { settings } = node.parts;
    assert.deepEqual([settings.storeBytes, settings.centers], [2 ** 31, []]);
    await writeFile(
      path,
      text.replace('store: 2 GiB', 'store: 4 GiB').replace('centers: []', 'centers: [tokyo]'),
    );
    await refresh();
    assert.deepEqual([settings.storeBytes, settings.centers], [2 ** 32, [tokyo.face.id]]);
    const alarms = world.monitor.events.length;
    await writeFile(path, text.replace('centers: []', 'centers: [kyoto]'));
    await refresh();
    assert.deepEqual(settings.centers, [tokyo.face.id]);
    const [alarm] = world.monitor.events.slice(alarms);
    assert.match(
      alarm?.kind === 'alarm' ? alarm.message : '',
      /no way leads to a center kyoto; known: tokyo/,
    );
  });
});

test('a token of a relay names all centers that it leads to, each once', async () => {
  const data = await newRelay();
  const [tokyo, osaka] = [await above('tokyo'), await above('osaka')];
  const branch = await above('branch', [osaka.face, tokyo.face]);
  await join(data, tokyo, branch);
  await within(data, async (home) => {
    const token = await people(home).token({ name: 'ann' });
    assert.deepEqual(token.centers, ['tokyo', 'osaka']);
    const { upstreams, centers, owed } = await people(home).status({});
    assert.deepEqual(
      upstreams.map(({ name, kind, connected }) => [name, kind, connected]),
      [
        ['tokyo', 'center', false],
        ['branch', 'relay', false],
      ],
    );
    assert.deepEqual(centers[0]?.ways, [tokyo.face.id, branch.face.id]);
    assert.deepEqual(
      owed.map(({ name }) => name),
      ['tokyo', 'osaka'],
    );
  });
});

test('what is owed to a center stays owed when the way to it is left, until its operator releases it', async () => {
  const data = await newRelay();
  const [tokyo, osaka] = [await above('tokyo'), await above('osaka')];
  await join(data, tokyo, osaka);
  const facts = { packGroup: 'shared' };
  const at = { [tokyo.face.id]: 'safe', [osaka.face.id]: 'waiting' } as const;
  const id = await within(data, async (home) => {
    const held = await addRow(home.node.ledger, { sequence: 1, facts, at });
    const left = await people(home).leave({ node: 'osaka' });
    const stranded = [{ id: osaka.face.id, name: 'osaka' }];
    const known = { untold: 'center-unreachable', others: ['tokyo'] };
    assert.deepEqual(left, { id: osaka.face.id, name: 'osaka', ...known, stranded });
    return held;
  });
  await within(data, async (home) => {
    assert.deepEqual(
      home.client.centers.map(({ face }) => face.name),
      ['tokyo'],
    );
    const [held] = (await people(home).status({})).held;
    assert.deepEqual(held?.copies.map(({ phase }) => phase).sort(), ['safe', 'waiting']);
    const { centers } = await people(home).status({});
    assert.deepEqual(centers.find(({ name }) => name === 'osaka')?.ways, [], 'it is known by its name still');
    await assert.rejects(people(home).release({ center: 'kyoto' }), { code: 'no-route' });
    const done = await people(home).release({ center: 'osaka' });
    assert.deepEqual([done.released, done.kept, done.left], [1, 0, []]);
    const copies = await copiesOf(home.node.ledger.db, id);
    assert.deepEqual(copies.map(({ phase, code }) => phase + code).sort(), ['safe', 'voidreleased']);
    // Below, nothing is closed by that: its owner owes it still.
    const { rows } = await home.node.apiFor(ANNS_CLIENT, null).copies({});
    const told = rows.find(({ center }) => center === osaka.face.id);
    assert.deepEqual([told?.phase, told?.code], ['waiting', 'no-route']);
  });
});

test('a center that is released is forgotten by the relays that led to it too; what led nowhere else is left', async () => {
  const data = await newRelay();
  const [tokyo, osaka] = [await above('tokyo'), await above('osaka')];
  const branch = await above('branch', [osaka.face, tokyo.face]);
  await join(data, tokyo, osaka, branch);
  await within(data, async (home) => {
    const done = await people(home).release({ center: 'osaka' });
    assert.deepEqual(done.left, ['osaka']);
  });
  await within(data, async ({ client }) => {
    const ways = client.centers.map(({ face, centers }) => [face.name, centers.map(({ name }) => name)]);
    assert.deepEqual(ways, [
      ['tokyo', ['tokyo']],
      ['branch', ['tokyo']],
    ]);
  });
});
