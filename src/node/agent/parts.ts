import type { Depot } from '../../depot/depot.ts';
import type { OpenKeyring } from '../../format/keyring.ts';
import type { SigningKey } from '../../format/signing.ts';
import { unitedCenters } from '../../identity/client-identity.ts';
import type { Ledger } from '../../ledger/ledger.ts';
import { LowtideError } from '../../model/errors.ts';
import type { CenterFace } from '../../model/exchange.ts';
import type { ClientId, InstanceId } from '../../model/ids.ts';
import type { Job } from '../../model/jobs.ts';
import type { CenterApi } from '../../protocol/center-api.ts';
import type { World } from '../../world/ports.ts';

/** Who this agent is and what it may open. */
export interface AgentIdentity {
  readonly client: ClientId;
  readonly instance: InstanceId;
  /** For people: shown in manifests' clear labels. */
  readonly name: string;
  readonly signingKey: SigningKey;
  readonly keyring: OpenKeyring;
}

/** A node above that this one sends to: a route. What is owed names centers. */
export interface Upstream {
  readonly face: CenterFace;
  /** Where it leads, by the token: a center to itself. */
  readonly centers: readonly CenterFace[];
  readonly connect: () => Promise<CenterApi>;
}

export interface AgentSettings {
  readonly software: string;
  readonly host: string;
  /** Bytes of data blocks that the spool may hold. */
  readonly spoolBytes: number;
  readonly compressionLevel: number;
  /** Transfers give way to everything else on their line. */
  readonly yield: boolean;
  /** Programs that jobs may run; a folder, with a slash at its end, means all in it. None if absent. */
  readonly allow?: readonly string[];
  /** Programs with their arguments: while one of them ends with status 0, nothing is sent. None if absent. */
  readonly notWhile?: readonly (readonly string[])[];
  /** Read anew whenever it is needed: people change it while the agent runs. */
  readonly jobs: () => Promise<readonly Job[]>;
}

/** What every part of an agent stands on. */
export interface AgentParts {
  readonly world: World;
  readonly depot: Depot;
  readonly ledger: Ledger;
  readonly identity: AgentIdentity;
  readonly settings: AgentSettings;
  readonly upstreams: readonly Upstream[];
}

/** The pack group of tree and refs pages: they stay as a base when the data blocks go (DESIGN 2). */
export const META_GROUP = 'meta';

/** Centers that some way leads to, each once, in the order of the ways. */
export function centersReached(upstreams: readonly Pick<Upstream, 'centers'>[]): readonly CenterFace[] {
  return unitedCenters(upstreams.map(({ centers }) => centers));
}

/** The ways to centers before the ways to relays: what is direct is best. */
export function bestFirst<Way extends Pick<Upstream, 'face'>>(upstreams: readonly Way[]): readonly Way[] {
  const direct = upstreams.filter(({ face }) => face.kind === 'center');
  return [...direct, ...upstreams.filter((upstream) => !direct.includes(upstream))];
}

/** The centers that a job's snapshots are owed to. */
export function centersOwed(parts: Pick<AgentParts, 'upstreams'>, job: Job): readonly CenterFace[] {
  const all = centersReached(parts.upstreams);
  return job.centers.length === 0 ? all : all.filter((face) => job.centers.includes(face.id));
}

/** @throws LowtideError `no-such-job` */
export async function findJob(settings: AgentSettings, name: string): Promise<Job> {
  const job = (await settings.jobs()).find((each) => each.name === name);
  if (job === undefined)
    throw new LowtideError('no-such-job', `there is no job ${name}: see 'lowtide job list'`);
  return job;
}
