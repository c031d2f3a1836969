import type { CenterApi } from '../protocol/center-api.ts';
import type { MethodKinds } from './network.ts';

/** For `Network.connect<CenterApi>`. */
export const centerMethods: MethodKinds<CenterApi> = {
  hello: 'call',
  offer: 'call',
  orders: 'stream',
  missing: 'call',
  blocks: 'stream',
  commit: 'call',
  copies: 'call',
  withdraw: 'call',
  fetch: 'stream',
};
