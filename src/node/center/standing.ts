import { noteChange } from '../../ledger/audit.ts';
import { setRevoked } from '../../ledger/clients.ts';
import type { ClientId } from '../../model/ids.ts';
import { linesOf } from './view.ts';
import { clientNamed } from './named-client.ts';
import type { CenterDesk } from './people.ts';

/** Whether a computer may come here, after the operator's word on it. */
export interface Standing {
  readonly client: ClientId;
  readonly name: string;
  readonly shutOut: boolean;
  /** Whether it was shut out before. */
  readonly before: boolean;
  /** Names of the computers below it that have no other way here. */
  readonly below: readonly string[];
}

/** @throws LowtideError `not-found` */
export async function shutOut(desk: CenterDesk, text: string): Promise<Standing> {
  return await setStanding(desk, text, true);
}

/** With the pass that it had, if that has not run out: else it joins anew. @throws LowtideError `not-found` */
export async function letIn(desk: CenterDesk, text: string): Promise<Standing> {
  return await setStanding(desk, text, false);
}

async function setStanding(desk: CenterDesk, text: string, out: boolean): Promise<Standing> {
  const { ledger, world } = desk.node;
  const { id, name, revoked_at } = await clientNamed(desk, text);
  const before = revoked_at !== null;
  if (before !== out) {
    const now = world.clock.now();
    const change = { key: `standing of ${name}`, before: standingText(before), after: standingText(out) };
    await ledger.transaction(async (db) => {
      await setRevoked(db, id, out ? now : null);
      await noteChange(db, change, now);
    });
    world.monitor.event({ kind: 'changed', ...change });
  }
  const lines = await linesOf(desk);
  const below = lines
    .filter(({ via, direct }) => !direct && via.length === 1 && via[0] === name)
    .map((line) => line.name);
  return { client: id, name, shutOut: out, before, below };
}

const standingText = (out: boolean): string => (out ? 'shut out' : 'let in');
