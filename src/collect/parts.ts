import type { Depot } from '../depot/depot.ts';
import type { SigningKey } from '../format/signing.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { CenterFace } from '../model/exchange.ts';
import type { World } from '../world/ports.ts';

/** What collecting stands on. */
export interface CollectorParts {
  readonly world: World;
  readonly depot: Depot;
  readonly ledger: Ledger;
  readonly center: CenterFace;
  readonly receiptKey: SigningKey;
}

/** When and how much suits the center (SEED 222), as people write it. */
export interface Conditions {
  readonly windows: string;
  readonly zone: string;
  readonly streams: number;
}

export const OPEN_CONDITIONS: Omit<Conditions, 'zone'> = { windows: 'any', streams: 2 };
