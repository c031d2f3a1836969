import { findClient, findClientByName } from '../../ledger/clients.ts';
import type { ClientRow } from '../../ledger/tables.ts';
import { LowtideError } from '../../model/errors.ts';
import type { ClientId } from '../../model/ids.ts';
import type { CenterDesk } from './people.ts';

type NamingDesk = Pick<CenterDesk, 'node' | 'authority'>;

/** @param text name or id. @throws LowtideError `not-found` */
export async function clientNamed({ node, authority }: NamingDesk, text: string): Promise<ClientRow> {
  const { db } = node.ledger;
  const row = (await findClientByName(db, text)) ?? (await findClient(db, text as ClientId));
  if (row !== null) return row;
  const list = `lowtide ${authority.face.kind} client list`;
  throw new LowtideError('not-found', `there is no client ${text}: '${list}' shows them`);
}

/**
 * One that comes here itself: what is asked for cannot be done to a machine behind a relay.
 * @param instead what to do, for people
 * @throws LowtideError `not-found`, `wrong-state`
 */
export async function directClientNamed(desk: NamingDesk, text: string, instead: string): Promise<ClientRow> {
  const row = await clientNamed(desk, text);
  if (row.pass !== '') return row;
  throw new LowtideError('wrong-state', `${row.name} comes through a relay only: ${instead}`);
}

/** One whose backups may be here, also if it was shut out. @throws LowtideError `not-found`, `wrong-state` */
export async function computerNamed(desk: NamingDesk, text: string): Promise<ClientRow> {
  const row = await clientNamed(desk, text);
  if (row.role === 'agent') return row;
  throw new LowtideError('wrong-state', `${row.name} is no computer that is backed up: it is a ${row.role}`);
}
