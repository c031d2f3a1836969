import type { SignedKeyring } from '../../format/keyring.ts';
import { openMembership } from '../../format/membership.ts';
import { clientIdOf } from '../../format/signing.ts';
import { enrollMembers } from '../../ledger/members.ts';
import { findClient } from '../../ledger/clients.ts';
import { takeClient } from '../../ledger/pulled.ts';
import { isLowtideError, LowtideError } from '../../model/errors.ts';
import type { KnownClient, Member } from '../../model/exchange.ts';
import { type CenterId, type ClientId, shortId } from '../../model/ids.ts';
import { rowsOf } from '../../protocol/pages.ts';
import { takeKeyrings } from '../keyrings.ts';
import { takeWordsOfLeaving } from '../leaving.ts';
import type { OpenSource, PulledClient, PullWork } from './parts.ts';
import { isSourceTrouble } from './patience.ts';

/**
 * Takes over who the clients of the sources are, with their keyrings and memberships: everything that must be here before
 * a manifest can be. What does not prove itself by its signature is a problem of that client's, and is left out.
 */
export async function pullClients(work: PullWork): Promise<PulledClient[]> {
  const found = new Map<ClientId, PulledClient>();
  const below = new Map<ClientId, Member[]>();
  const left = new Map<ClientId, readonly Uint8Array[]>();
  for (const source of work.sources) {
    for await (const known of rowsOf((after) => source.api.clients(after as ClientId | null))) {
      if (work.stop.aborted) return [];
      if (!isWished(work, known)) continue;
      const before = found.get(known.client);
      const client = await pullClient(work, source, known, before).catch(reported(work, known.client));
      if (client === null) continue;
      if (before === undefined) work.note({ clients: 1 });
      found.set(known.client, client);
      left.set(known.client, [...(left.get(known.client) ?? []), ...(known.left ?? [])]);
      for (const { membership, name, via } of known.memberships) {
        if (via === known.client) continue;
        below.set(via, [...(below.get(via) ?? []), { membership, name }]);
      }
    }
  }
  for (const [relay, members] of below) {
    await enrollBelow(work, relay, members).catch(reported(work, relay));
  }
  for (const [client, words] of left) {
    await takeWordsOfLeaving(work.collector, words, client).catch(reported(work, client));
  }
  return [...found.values()];
}

function isWished({ wish }: PullWork, { client, name }: KnownClient): boolean {
  return wish.clients.length === 0 || wish.clients.includes(name) || wish.clients.includes(client);
}

async function pullClient(
  work: PullWork,
  source: OpenSource,
  known: KnownClient,
  before: PulledClient | undefined,
): Promise<PulledClient> {
  const { parts } = work.collector;
  const { ledger, world } = parts;
  const keyrings = await takeKeyrings(parts, known.client, (after) =>
    source.api.keyrings(known.client, after),
  );
  for (let count = 0; count < keyrings.news; count++) work.note({ keyrings: 1 });
  const instances = new Map([...(before?.instances ?? []), ...trustedInstances(known, keyrings.sound)]);
  if (instances.size === 0) {
    const message = `nothing proves the key of ${known.name} (${shortId(known.client)})`;
    throw new LowtideError('wrong-signature', message);
  }
  const newest = [...instances.values()].at(-1)!;
  const node = provenNode(known);
  const role = node === null ? 'agent' : 'relay';
  const { client, name, pass, revoked } = known;
  await takeClient(
    ledger,
    { id: client, name, role, node, key: newest, pass: work.wish.letIn ? pass : '', revoked },
    world.clock.now(),
  );
  return { known, instances };
}

/** What it signed of itself as a node. */
function provenNode({ client, memberships, node }: KnownClient): CenterId | null {
  if (node === null) return null;
  const own = memberships.some(({ membership }) => {
    try {
      const word = openMembership(membership);
      return word.client === client && word.node === node;
    } catch (error) {
      if (isLowtideError(error)) return false;
      throw error;
    }
  });
  return own ? node : null;
}

/** In order of joining; the client id names the first. */
function trustedInstances(
  { client, instanceKey }: KnownClient,
  keyrings: readonly SignedKeyring[],
): Map<string, Uint8Array> {
  const trusted = new Map<string, Uint8Array>();
  if (clientIdOf(instanceKey) === client) trusted.set(client, instanceKey);
  for (const { keyring } of keyrings)
    for (const { id, publicKey } of keyring.instances) trusted.set(id, publicKey);
  return trusted;
}

/** Each is a machine's own signed word; that the relay may speak for it follows from these alone. */
async function enrollBelow(work: PullWork, relay: ClientId, members: readonly Member[]): Promise<void> {
  const { ledger, world } = work.collector.parts;
  const row = await findClient(ledger.db, relay);
  if (row === null) return;
  await ledger.transaction((db) => enrollMembers(db, row, members, world.clock.now()));
}

/** Trouble with one client is noted, and the rest goes on; a source that cannot be asked is trouble with all of them. */
function reported(work: PullWork, client: ClientId): (error: unknown) => null {
  return (error) => {
    if (!isLowtideError(error) || isSourceTrouble(error)) throw error;
    work.problem({ client, snapshot: null, code: error.code, message: error.message });
    return null;
  };
}
