import { socketIn } from '../socket-path.ts';
import { instanceIdOf } from '../../format/signing.ts';
import { type Authority, loadAuthority } from '../../identity/authority.ts';
import {
  type ClientIdentity,
  createClientIdentity,
  loadClientIdentity,
} from '../../identity/client-identity.ts';
import { Enrollment } from '../../identity/enrollment.ts';
import { isLowtideError } from '../../model/errors.ts';
import { parseWindows } from '../../schedule/windows.ts';
import type { World } from '../../world/ports.ts';
import { type Connector, upstreamsOf } from '../agent/home.ts';
import { centersReached } from '../agent/parts.ts';
import { foundNode } from '../founding.ts';
import type { RelaySettings } from './parts.ts';
import {
  createRelayConfig,
  type NewRelayConfig,
  readRelayConfig,
  type RelayConfig,
} from '../settings/relay-settings.ts';
import { Relay } from './relay.ts';
import { LastGood } from '../settings/yaml-file.ts';

export const relayPaths = (data: string) => ({
  identity: `${data}/identity`,
  ledger: `${data}/ledger.db`,
  store: `${data}/store`,
  config: `${data}/relay.yaml`,
  socket: socketIn(data),
});

/** A relay's data folder, opened as its one writer. */
export interface RelayHome {
  readonly data: string;
  /** A node to those below. */
  readonly authority: Authority;
  /** A client to the nodes above. */
  readonly client: ClientIdentity;
  /** As they were when it was opened. */
  readonly settings: RelayConfig;
  readonly node: Relay;
  readonly enrollment: Enrollment;
  /** Reads relay.yaml again; a mistake in it is an alarm, and what was in force stays. */
  readonly refresh: () => Promise<RelayConfig>;
  /** What keeps relay.yaml as it is now from being in force; null for nothing. */
  readonly mistake: () => Promise<string | null>;
}

/** Makes a relay. @throws LowtideError as `foundNode` */
export async function createRelayHome(
  world: World,
  data: string,
  name: string,
  config: NewRelayConfig,
): Promise<Authority> {
  const paths = relayPaths(data);
  parseWindows(config.transfer.windows, config.transfer.zone);
  return await foundNode(world, {
    kind: 'relay',
    name,
    paths,
    settings: config,
    createStore: () => Relay.create(world, data),
    createSettings: async () => {
      await createRelayConfig(world, paths.config, config);
      await readRelayConfig(world, paths.config, []);
      await ensureClient(world, paths.identity);
    },
  });
}

async function ensureClient(world: World, directory: string): Promise<void> {
  try {
    await createClientIdentity(world, directory);
  } catch (error) {
    if (!isLowtideError(error, 'node-exists')) throw error;
  }
}

/**
 * @param software `lowtide 0.1.0`, as it is told above
 * @throws LowtideError `not-a-node`, `bad-config`, `forbidden`, `wrong-key`, `locked`
 */
export async function openRelayHome(
  world: World,
  data: string,
  software: string,
  connector: Connector,
): Promise<RelayHome> {
  const paths = relayPaths(data);
  const authority = await loadAuthority(world, paths.identity, 'relay');
  const client = await loadClientIdentity(world, paths.identity);
  const upstreams = upstreamsOf(client, connector);
  const read = (): Promise<RelayConfig> => readRelayConfig(world, paths.config, centersReached(upstreams));
  const first = await read();
  const lastGood = new LastGood(world, first, read);
  let config = first;
  const { face, receiptKey } = authority;
  const { instance } = client;
  const identity = {
    client: client.client,
    instance: instanceIdOf(instance.publicKey),
    signingKey: instance,
  };
  const settings = liveSettings(software, () => config);
  const node = await Relay.open(world, { path: data, face, receiptKey, identity, settings, upstreams });
  const enrollment = new Enrollment(world, node.ledger, authority, {
    centers: () => centersReached(upstreams),
    above: () => [
      ...client.centers.map((joined) => joined.face.id),
      ...(node.collector.parts.above?.path() ?? []),
    ],
  });
  const refresh = async (): Promise<RelayConfig> => (config = await lastGood.current());
  const mistake = async (): Promise<string | null> => {
    await refresh();
    return lastGood.mistake;
  };
  return { data, authority, client, settings: first, node, enrollment, refresh, mistake };
}

function liveSettings(software: string, config: () => RelayConfig): RelaySettings {
  return {
    software,
    get conditions() {
      return config().conditions;
    },
    get transfer() {
      return config().transfer;
    },
    get yield() {
      return config().yield;
    },
    get storeBytes() {
      return config().storeBytes;
    },
    get cacheBytes() {
      return config().cacheBytes;
    },
    get centers() {
      return config().centers;
    },
  };
}
