import { isDomainProof } from '../format/domain-proof.ts';
import type { Keyring } from '../format/keyring.ts';
import { LowtideError } from '../model/errors.ts';
import { hexOf } from '../model/bytes.ts';
import type { ClientId, DomainKeyId } from '../model/ids.ts';
import { factOf } from './facts.ts';
import type { Database, Ledger } from './ledger.ts';

/**
 * A key domain belongs to whoever knows its key, and several clients of one owner may: the first keyring that names it and
 * proves that fixes the public key of the proofs (format F69). Without a proof it is the one client's that named it first.
 * Otherwise a client could ask for the blocks of others by writing their domain into its own keyring. All of them or none.
 * @param keyring signed, and checked
 * @throws LowtideError `forbidden`
 */
export async function claimDomains(
  ledger: Ledger,
  { client, epochs, proofs }: Pick<Keyring, 'client' | 'epochs' | 'proofs'>,
): Promise<void> {
  const claims = epochs.map(({ domain }, at): Claim => {
    const proof = proofs?.[at] ?? null;
    if (proof === null) return { domain, client, key: null };
    if (isDomainProof(proof, client, domain)) return { domain, client, key: hexOf(proof.key) };
    throw new LowtideError('forbidden', 'the keyring does not prove that it knows the key of its key domain');
  });
  const open: Claim[] = [];
  for (const claim of claims) if (!(await isSettled(ledger.db, claim))) open.push(claim);
  if (open.length === 0) return;
  await ledger.transaction(async (db) => {
    for (const claim of open) await claimOne(db, claim);
  });
}

interface Claim {
  readonly domain: DomainKeyId;
  readonly client: ClientId;
  /** Of the proof, 64 hex digits. */
  readonly key: string | null;
}

/** It was claimed so before: a claim is never taken back. */
async function isSettled(db: Database, { domain, client, key }: Claim): Promise<boolean> {
  const owner = await factOf(db, `domain/${domain}`);
  if (key === null && owner === client) return true;
  return (
    owner !== null && owner === (key ?? owner) && (await factOf(db, `domain/${domain}/${client}`)) === owner
  );
}

async function claimOne(db: Database, { domain, client, key }: Claim): Promise<void> {
  const name = `domain/${domain}`;
  // An older version of a keyring, without proofs, may come after a newer one.
  const proved = `${name}/${client}`;
  await note(db, name, key ?? client);
  const owner = await factOf(db, name);
  if (key !== null && owner === client) {
    await db.updateTable('facts').set({ value: key }).where('name', '=', name).execute();
  } else if (owner !== (key ?? client) && (key !== null || (await factOf(db, proved)) !== owner)) {
    throw new LowtideError('forbidden', 'the keyring names a key domain that belongs to another client');
  }
  if (key !== null) await note(db, proved, key);
}

/** What was noted before stays. */
async function note(db: Database, name: string, value: string): Promise<void> {
  await db
    .insertInto('facts')
    .values({ name, value })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}
