import type { Welcome } from '../model/exchange.ts';
import type { UnixMillis } from '../model/time.ts';

/** How one way up stands. */
export interface UplinkStatus {
  readonly connected: boolean;
  /** Since when it is so. */
  readonly since: UnixMillis;
  /** Why not, when not connected. */
  readonly code: string;
  readonly message: string;
  /** When it is tried again by itself; null while it is connected, or tried. */
  readonly retryAt: UnixMillis | null;
  readonly welcome: Welcome | null;
}
