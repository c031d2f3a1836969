import { z } from 'zod';
import { holdBack } from '../../collect/holding-back.ts';
import { type Held, heldOf } from '../../ledger/holds.ts';
import type { ClientId } from '../../model/ids.ts';
import { parseSpan } from '../../schedule/span-text.ts';
import { directClientNamed } from './named-client.ts';
import type { CenterDesk } from './people.ts';

/** Control characters would come out on somebody's screen. */
const why = z
  .string()
  .max(200)
  .regex(/^\P{C}*$/v, 'one line of text');
export const holdAsk = z.strictObject({
  client: z.string(),
  /** Such as `3 d`; null: until it is released. */
  span: z.string().nullable().default(null),
  why: why.default(''),
});
export type HoldAsk = z.input<typeof holdAsk>;

export interface HeldClient {
  readonly client: ClientId;
  readonly name: string;
  /** Null: it is collected. */
  readonly held: Held | null;
  /** Whether it was held back before. */
  readonly before: boolean;
}

const AT_THE_RELAY = 'hold it back there, or the relay with all that comes through it here';

/** Lets nothing be collected from a client until it is released, or for a while. @throws LowtideError `bad-schedule` and as `directClientNamed` */
export async function holdClient(desk: CenterDesk, ask: z.output<typeof holdAsk>): Promise<HeldClient> {
  const since = desk.node.world.clock.now();
  const until = ask.span === null ? null : since + parseSpan(ask.span);
  return await setHeld(desk, ask.client, { since, until, why: ask.why });
}

/** @throws LowtideError as `directClientNamed` */
export async function releaseClient(desk: CenterDesk, client: string): Promise<HeldClient> {
  return await setHeld(desk, client, null);
}

async function setHeld(desk: CenterDesk, text: string, held: Held | null): Promise<HeldClient> {
  const row = await directClientNamed(desk, text, AT_THE_RELAY);
  const before = heldOf(row, desk.node.world.clock.now()) !== null;
  if (held !== null || before) await holdBack(desk.node.collector, row, held);
  return { client: row.id, name: row.name, held, before };
}
