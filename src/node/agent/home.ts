import { socketIn } from '../socket-path.ts';
import { Depot } from '../../depot/depot.ts';
import { addSlot, newKeyring } from '../../format/keyring-edit.ts';
import { type OpenKeyring, signKeyring, unlockKeyring } from '../../format/keyring.ts';
import { instanceIdOf } from '../../format/signing.ts';
import type { RecoverySheet } from '../../format/recovery-sheet.ts';
import {
  type ClientIdentity,
  type JoinedCenter,
  loadClientIdentity,
} from '../../identity/client-identity.ts';
import { Ledger } from '../../ledger/ledger.ts';
import { bytesOfHex } from '../../model/bytes.ts';
import { isLowtideError, LowtideError } from '../../model/errors.ts';
import type { CenterApi } from '../../protocol/center-api.ts';
import type { World } from '../../world/ports.ts';
import type { AgentIdentity, AgentSettings, Upstream } from './parts.ts';
import { type AgentConfig, createAgentConfig, readAgentConfig } from '../settings/agent-settings.ts';
import { makingIn } from '../alone/alone.ts';
import { COMPRESSION_LEVELS } from '../settings/compression.ts';
import { JobsFile } from '../settings/jobs-file.ts';
import { LastGood } from '../settings/yaml-file.ts';

const SECRET_BYTES = 32;

export const agentPaths = (data: string) => ({
  identity: `${data}/identity`,
  spool: `${data}/spool`,
  ledger: `${data}/ledger.db`,
  jobs: `${data}/jobs.yaml`,
  config: `${data}/agent.yaml`,
  socket: socketIn(data),
});

/** What runs here, as snapshots name it. */
export interface Software {
  /** `lowtide 0.1.0`. */
  readonly name: string;
  /** The machine's own name. */
  readonly host: string;
}

/** How to reach centers: HTTPS in production. */
export interface Connector {
  connect(identity: ClientIdentity, center: JoinedCenter): Promise<CenterApi>;
  /** Ends all connections. */
  close(): void;
}

/** An agent's data folder, read: what `Agent.open` and readers beside it need. */
export interface AgentHome {
  readonly data: string;
  readonly client: ClientIdentity;
  readonly identity: AgentIdentity;
  readonly jobs: JobsFile;
  /** In force is what `refresh` read last. */
  readonly settings: AgentSettings;
  readonly upstreams: readonly Upstream[];
  /** What keeps jobs.yaml and agent.yaml as they are now from being in force. */
  mistakes(): readonly string[];
  /** Reads agent.yaml again; a mistake in it is an alarm, and what was in force stays. */
  refresh(): Promise<void>;
}

/**
 * @throws LowtideError `not-a-node` if no agent was made there, `forbidden`, `wrong-key`, `damaged-keyring`,
 *   `bad-config`
 */
export async function openAgentHome(
  world: World,
  data: string,
  software: Software,
  connector: Connector,
): Promise<AgentHome> {
  const paths = agentPaths(data);
  const client = await loadClientIdentity(world, paths.identity);
  const keyring = await loadKeyring(world, paths.spool, client);
  const jobs = new JobsFile(world, paths.jobs);
  const lastGood = new LastGood(world, await readAgentConfig(world, paths.config), () =>
    readAgentConfig(world, paths.config),
  );
  let config = await lastGood.current();
  return {
    data,
    client,
    identity: {
      client: client.client,
      instance: instanceIdOf(client.instance.publicKey),
      name: client.centers[0]?.name ?? software.host,
      signingKey: client.instance,
      keyring,
    },
    jobs,
    settings: liveSettings(software, jobs, () => config),
    upstreams: upstreamsOf(client, connector),
    mistakes: () => [jobs.mistake, lastGood.mistake].filter((mistake) => mistake !== null),
    refresh: async () => {
      config = await lastGood.current();
    },
  };
}

/** The ways up of a machine: one for each node that it has joined. */
export function upstreamsOf(client: ClientIdentity, connector: Connector): readonly Upstream[] {
  return client.centers.map((joined) => ({
    face: joined.face,
    centers: joined.centers,
    connect: () => connector.connect(client, joined),
  }));
}

function liveSettings(software: Software, jobs: JobsFile, config: () => AgentConfig): AgentSettings {
  return {
    software: software.name,
    host: software.host,
    jobs: () => jobs.current(),
    get spoolBytes() {
      return config().spoolBytes;
    },
    get yield() {
      return config().yield;
    },
    get allow() {
      return config().allow;
    },
    get notWhile() {
      return config().notWhile;
    },
    get compressionLevel() {
      return COMPRESSION_LEVELS[config().compression];
    },
  };
}

/** A missing keyring is never replaced silently: a new key would not open what is stored (faults G4). */
async function loadKeyring(world: World, spool: string, client: ClientIdentity): Promise<OpenKeyring> {
  const depot = await Depot.open(world, spool, 'read').catch((error: unknown) => {
    if (!isLowtideError(error, 'not-a-depot')) throw error;
    throw new LowtideError('not-a-node', `${spool} is missing: 'lowtide agent join' makes an agent`);
  });
  try {
    const newest = (await depot.keyrings(client.client)).at(-1);
    if (newest === undefined) {
      throw new LowtideError(
        'damaged-keyring',
        `${spool} has no keyring of this machine: put the files of its keyrings back`,
      );
    }
    return unlockKeyring(newest, { kind: 'device', secret: client.deviceSecret }, world.limits);
  } finally {
    await depot.close();
  }
}

/**
 * Makes what an agent has beside its identity: spool, ledger, keyring, settings. What is there already stays; so an
 * interrupted call is made up for by the next.
 * @param domainKey of the domain that it shares with other machines of its owner; null for a new one
 * @returns the recovery sheet if the keyring was made now: it can be shown this once
 */
export async function prepareAgent(
  world: World,
  data: string,
  client: ClientIdentity,
  domainKey: Uint8Array | null = null,
): Promise<RecoverySheet | null> {
  const paths = agentPaths(data);
  if ((await world.disk.stat(`${paths.spool}/config`)) === null) await Depot.create(world, paths.spool);
  await (await Ledger.open(world, paths.ledger)).close();
  await createAgentConfig(world, paths.config);
  await new JobsFile(world, paths.jobs).create();
  if (await hasKeyring(world, paths.spool, client)) return null;
  const depot = await Depot.open(world, paths.spool, 'write');
  try {
    return await makeKeyring(world, depot, client, domainKey);
  } finally {
    await depot.close();
  }
}

/** Whether an agent in this folder has made its keys: then they stay what they are. */
export async function hasOwnKeys(world: World, data: string): Promise<boolean> {
  const paths = agentPaths(data);
  if ((await world.disk.stat(`${paths.spool}/config`)) === null) return false;
  return await hasKeyring(world, paths.spool, await loadClientIdentity(world, paths.identity));
}

/** Beside the running agent, if there is one. */
async function hasKeyring(world: World, spool: string, client: ClientIdentity): Promise<boolean> {
  const depot = await Depot.open(world, spool, 'read');
  try {
    return (await depot.keyrings(client.client)).length > 0;
  } finally {
    await depot.close();
  }
}

async function makeKeyring(
  world: World,
  depot: Depot,
  client: ClientIdentity,
  domainKey: Uint8Array | null,
): Promise<RecoverySheet> {
  const making = makingIn(world);
  const secret = world.random.bytes(SECRET_BYTES);
  const shared = domainKey === null ? {} : { domainKey };
  const ring = newKeyring({ ...making, ...shared, signingKey: client.instance, storeSigningSeed: false });
  const device = { kind: 'device', label: 'this machine', secret: client.deviceSecret } as const;
  const sheet = { kind: 'recovery', label: 'recovery sheet', secret } as const;
  const draft = addSlot(addSlot(ring, device, making), sheet, making);
  await depot.putKeyring(signKeyring(draft, client.instance).signed);
  const caHash = client.centers[0]?.caHash;
  return {
    client: client.client,
    secret,
    center: caHash === undefined ? null : new Uint8Array(bytesOfHex(caHash)),
  };
}
