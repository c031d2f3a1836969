import type { CenterId, ClientId } from '../model/ids.ts';
import type { UnixMillis } from '../model/time.ts';
import { addNewcomer, findClient, setRevoked } from './clients.ts';
import type { Ledger } from './ledger.ts';

interface TakenClient {
  readonly id: ClientId;
  readonly name: string;
  readonly role: 'agent' | 'relay';
  readonly node: CenterId | null;
  /** Ed25519 public key of its newest instance. */
  readonly key: Uint8Array;
  /** '' if it may not come in by itself. */
  readonly pass: string;
  readonly revoked: boolean;
}

/** Registers a client that another center knows. One that is known here stays what it is, and may get its pass back. */
export async function takeClient(ledger: Ledger, client: TakenClient, now: UnixMillis): Promise<void> {
  const { id, name, role, node, key, pass, revoked } = client;
  await ledger.transaction(async (db) => {
    const known = await findClient(db, id);
    if (known !== null) {
      if (known.pass === '' && pass !== '')
        await db.updateTable('clients').set({ pass }).where('id', '=', id).execute();
      return;
    }
    await addNewcomer(db, { id, name, role, instance_key: key, pass, node }, now);
    if (revoked) await setRevoked(db, id, now);
  });
}
