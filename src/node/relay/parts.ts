import type { Conditions } from '../../collect/parts.ts';
import type { Depot } from '../../depot/depot.ts';
import type { SigningKey } from '../../format/signing.ts';
import type { Ledger } from '../../ledger/ledger.ts';
import type { CenterFace } from '../../model/exchange.ts';
import type { CenterId, ClientId, InstanceId } from '../../model/ids.ts';
import type { World } from '../../world/ports.ts';
import type { Upstream } from '../agent/parts.ts';

/** A relay as a client of the nodes above. */
export interface RelayIdentity {
  readonly client: ClientId;
  readonly instance: InstanceId;
  readonly signingKey: SigningKey;
}

/** Read anew whenever they are needed: people change them while the relay runs. */
export interface RelaySettings {
  readonly software: string;
  /** When it collects from below. */
  readonly conditions: Conditions;
  /** When it may send upwards. */
  readonly transfer: { readonly windows: string; readonly zone: string };
  /** Transfers upwards give way to everything else on their line. */
  readonly yield: boolean;
  /** Bytes that its store may hold, custody and cache together. */
  readonly storeBytes: number;
  /** Bytes of these that may be blocks which were passed on: restores find them near. */
  readonly cacheBytes: number;
  /** Centers that everything which comes here is owed to; empty for every center that some way leads to. */
  readonly centers: readonly CenterId[];
}

/** What every part of a relay stands on. */
export interface RelayParts {
  readonly world: World;
  readonly depot: Depot;
  readonly ledger: Ledger;
  readonly face: CenterFace;
  readonly identity: RelayIdentity;
  readonly settings: RelaySettings;
  readonly upstreams: readonly Upstream[];
}
