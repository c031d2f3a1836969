import type { Depot } from '../depot/depot.ts';
import type { SigningKey } from '../format/signing.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { CenterFace } from '../model/exchange.ts';
import type { ClientId, InstanceId } from '../model/ids.ts';
import type { Job } from '../model/jobs.ts';
import type { CenterApi } from '../protocol/center-api.ts';
import type { World } from '../world/ports.ts';
import type { Alarms } from './alarms.ts';

/** What sending upwards stands on: one uplink for each center (or relay) above. */
export interface UplinkParts {
  readonly world: World;
  readonly depot: Depot;
  readonly ledger: Ledger;
  readonly client: ClientId;
  readonly instance: InstanceId;
  readonly software: string;
  readonly signingKey: SigningKey;
  /** From the join token or the operator: receipts count only under this key. */
  readonly center: CenterFace;
  /** A new connection; throws LowtideError `center-unreachable` and the like. */
  readonly connect: () => Promise<CenterApi>;
  /** The job as it is configured now, null if it was removed since. */
  readonly job: (name: string) => Promise<Job | null>;
  /** Called after a receipt was stored: the spool may drain now. */
  readonly onReceipt: () => void;
}

/** With what an uplink has of its own. */
export interface UplinkWork extends UplinkParts {
  readonly alarms: Alarms;
}
