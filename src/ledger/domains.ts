import { LowtideError } from '../model/errors.ts';
import type { ClientId, DomainKeyId } from '../model/ids.ts';
import type { Ledger } from './ledger.ts';

/**
 * A key domain belongs to the client that named it first: otherwise a client could ask for the blocks of another by
 * writing that one's domain into its own keyring. All of them or none.
 * @throws LowtideError `forbidden`
 */
export async function claimDomains(
  ledger: Ledger,
  client: ClientId,
  domains: readonly DomainKeyId[],
): Promise<void> {
  await ledger.transaction(async (db) => {
    for (const domain of domains) {
      const name = `domain/${domain}`;
      const claim = { name, value: client as string };
      await db
        .insertInto('facts')
        .values(claim)
        .onConflict((conflict) => conflict.doNothing())
        .execute();
      const owner = await db.selectFrom('facts').select('value').where('name', '=', name).executeTakeFirst();
      if (owner?.value === client) continue;
      throw new LowtideError('forbidden', 'the keyring names a key domain that belongs to another client');
    }
  });
}
