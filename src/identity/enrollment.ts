import { createHash } from 'node:crypto';
import { LowtideError } from '../model/errors.ts';
import type { CenterFace } from '../model/exchange.ts';
import type { CenterId, ClientId } from '../model/ids.ts';
import { DAY_MS, MINUTE_MS, type UnixMillis } from '../model/time.ts';
import { noteChange } from '../ledger/audit.ts';
import { findClient, findClientByName, putClient } from '../ledger/clients.ts';
import type { Database, Ledger } from '../ledger/ledger.ts';
import { leftAt } from '../ledger/leavings.ts';
import { isGone, putMember } from '../ledger/members.ts';
import { letRead } from '../ledger/readers.ts';
import type { ClientRow, TokenRow } from '../ledger/tables.ts';
import { equalBytes } from '../model/bytes.ts';
import { type Membership, openMembership } from '../format/membership.ts';
import type { World } from '../world/ports.ts';
import type { Address } from './addresses.ts';
import type { Authority } from './authority.ts';
import { type Issuance, issueClientCertificate, rawKeyHash } from './certificates.ts';
import { checkDisplayName } from './names.ts';
import { checkJoinProof, checkRenewProof, type JoinRequest, type RenewRequest } from './proof.ts';
import { consumeToken, findToken, insertToken } from './token-table.ts';
import {
  formatToken,
  type JoinToken,
  type Role,
  secretHash,
  TOKEN_CENTERS_MAX,
  TOKEN_SECRET_BYTES,
} from './token.ts';

const TOKEN_LIFETIME_MAX_MS = DAY_MS;
const RENEW_SKEW_MS = 5 * MINUTE_MS;

/** The pass that a node gives to a client, and the node's face. */
export interface Enrolled {
  readonly client: ClientId;
  /** What the client is called there. */
  readonly name: string;
  readonly role: Role;
  /** PEM: the client's certificate and the issuer's. */
  readonly chain: string;
  readonly center: CenterFace;
}

/** `unknown` too for the key of a pass that was replaced; `left`: it has none any more, because it said so. */
export type Standing = 'known' | 'unknown' | 'revoked' | 'left';

export interface TokenWish {
  readonly addresses: readonly Address[];
  /** '' to take the host name of the machine that joins. */
  readonly name: string;
  readonly role: Role;
  /** Of an agent: the client whose backups it may read beside its own. */
  readonly reads?: ClientId;
  readonly lifetimeMs?: number;
}

/** Where a node leads to. A center leads to itself, and nothing is above it. */
export interface Leading {
  /** The centers that machines which join here can reach, with their receipt keys. */
  readonly centers: () => readonly CenterFace[];
  /** Ids of the nodes above, as far as they are known: none of them may join here. */
  readonly above: () => readonly CenterId[];
}

/** A node's side of joining: tokens out, certificates for them, and who may still come in. */
export class Enrollment {
  readonly #world: World;
  readonly #ledger: Ledger;
  readonly #authority: Authority;
  readonly #leading: Leading;

  constructor(
    world: World,
    ledger: Ledger,
    authority: Authority,
    leading: Leading = { centers: () => [authority.face], above: () => [] },
  ) {
    this.#world = world;
    this.#ledger = ledger;
    this.#authority = authority;
    this.#leading = leading;
  }

  /**
   * Durable when it resolves.
   * @throws LowtideError `bad-name`, `bad-request` for a lifetime beyond a day, `no-route` where no center is reached
   */
  async makeToken(wish: TokenWish): Promise<{ readonly text: string; readonly token: JoinToken }> {
    const now = this.#world.clock.now();
    const lifetime = wish.lifetimeMs ?? this.#world.limits.token_lifetime_ms;
    if (!(lifetime > 0) || lifetime > TOKEN_LIFETIME_MAX_MS) {
      throw new LowtideError('bad-request', 'a token lives at most a day: make it when it is needed');
    }
    const token: JoinToken = {
      addresses: wish.addresses,
      caHash: this.#authority.caHash,
      center: this.#authority.face.id,
      kind: this.#authority.face.kind,
      centers: this.#centers(),
      secret: this.#world.random.bytes(TOKEN_SECRET_BYTES),
      expires: now + lifetime,
      name: wish.name === '' ? '' : checkDisplayName(wish.name, 'the name of a client'),
      role: wish.role,
    };
    if (wish.reads !== undefined && wish.role !== 'agent')
      throw new LowtideError(
        'bad-request',
        "only a computer's token lets it read what another has backed up",
      );
    const { name, role, expires } = token;
    const times = { created_at: now, expires_at: expires };
    const row = { hash: secretHash(token.secret), name, role, reads: wish.reads ?? null, ...times };
    await this.#ledger.transaction((db) => insertToken(db, row));
    return { text: formatToken(token), token };
  }

  /**
   * Uses a token up and registers the client, at once or not at all. Repeated by the same machine before the token
   * expires, for a lost answer: the same answer, byte for byte.
   * @throws LowtideError `token-bad`, `token-expired`, `token-used`, `token-other-center`, `wrong-signature`,
   *   `token-other-role`, `joined-in-circle`, `forbidden`, `client-exists`, `bad-name`, `revoked`
   */
  async redeem(request: JoinRequest): Promise<Enrolled> {
    this.#checkCenter(request.center, 'token-other-center');
    checkJoinProof(request);
    const word = this.#readMembership(request);
    const now = this.#world.clock.now();
    const row = await this.#ledger.transaction((db) => enroll(db, request, word, now));
    const { id: client, name } = row.client;
    if (row.fresh) this.#world.monitor.event({ kind: 'enrolled', client, name });
    const serial = createHash('sha256')
      .update(`lowtide/serial/1\0${row.tokenHash}\0${row.client.pass}`)
      .digest()
      .subarray(0, 16);
    return this.#enrolled(row.client, request.tlsKey, { serial, now: row.usedAt });
  }

  /**
   * A new certificate for a client that proves its instance key: also when the old certificate has expired.
   * @throws LowtideError `not-enrolled`, `revoked`, `clock-off`, `wrong-signature`, `wrong-center`
   */
  async renew(request: RenewRequest): Promise<Enrolled> {
    this.#checkCenter(request.center, 'wrong-center');
    const now = this.#world.clock.now();
    const client = await this.#ledger.transaction(async (db) => {
      const found = await findClient(db, request.client);
      // One that comes by relays only has no pass to renew: a token lets it in.
      if (found === null || found.pass === '')
        throw found !== null && (await this.#hasLeft(db, found)) ? gone() : notEnrolled();
      checkRenewProof(request, found.instance_key);
      if (found.revoked_at !== null) throw revoked(found);
      if (Math.abs(now - request.at) > RENEW_SKEW_MS) {
        throw new LowtideError('clock-off', 'the clocks of the two machines differ by minutes');
      }
      const { id, name, role, instance_key, enrolled_at, node } = found;
      const pass = rawKeyHash(request.tlsKey);
      if (pass !== found.pass) await putClient(db, { id, name, role, instance_key, pass, enrolled_at, node });
      return { ...found, pass };
    });
    const serial = this.#world.random.bytes(16);
    return this.#enrolled(client, request.tlsKey, { serial, now });
  }

  /** Whether a client with a certificate for this key may come in now: asked for at every request. */
  async standing(client: ClientId, keyHash: string): Promise<Standing> {
    const found = await findClient(this.#ledger.db, client);
    if (found === null) return 'unknown';
    if (found.pass !== keyHash) return (await this.#hasLeft(this.#ledger.db, found)) ? 'left' : 'unknown';
    return found.revoked_at === null ? 'known' : 'revoked';
  }

  async #hasLeft(db: Database, { id, pass }: ClientRow): Promise<boolean> {
    return pass === '' && (await isGone(db, id, this.#authority.face.id));
  }

  #checkCenter(center: string, code: 'token-other-center' | 'wrong-center'): void {
    const { id, name, kind } = this.#authority.face;
    if (center !== id) throw new LowtideError(code, `this is the ${kind} ${name} (${id}), not ${center}`);
  }

  #centers(): readonly CenterFace[] {
    const centers = this.#leading.centers();
    if (centers.length === 0) {
      throw new LowtideError(
        'no-route',
        'this relay leads to no center yet: join one first, or another relay',
      );
    }
    if (centers.length <= TOKEN_CENTERS_MAX) return centers;
    throw new LowtideError('no-route', `a token can name ${TOKEN_CENTERS_MAX} centers, and these are more`);
  }

  /** Says the same as the request, and is not about a node above. */
  #readMembership(request: JoinRequest): Membership {
    const word = openMembership(request.membership);
    const { face } = this.#authority;
    const same =
      word.joined === face.id &&
      word.client === request.client &&
      equalBytes(word.instanceKey, request.instanceKey);
    if (!same) throw new LowtideError('forbidden', 'the membership is not about this join');
    if (word.node !== null && [face.id, ...this.#leading.above()].includes(word.node)) {
      throw new LowtideError(
        'joined-in-circle',
        `${face.name} sends to that relay itself: it must not join below its own subtree`,
      );
    }
    return word;
  }

  #enrolled(client: ClientRow, publicKey: Uint8Array, issuance: Issuance): Enrolled {
    const { issuer, face } = this.#authority;
    const leaf = issueClientCertificate(issuer, { client: client.id, publicKey }, issuance);
    const { id, name, role } = client;
    return { client: id, name, role, chain: leaf + issuer.certificate, center: face };
  }
}

const notEnrolled = (): LowtideError =>
  new LowtideError('not-enrolled', 'this node does not know this machine: join it with a new token');

const gone = (): LowtideError =>
  new LowtideError('not-enrolled', 'this machine has left here: join it with a new token');

const revoked = (client: ClientRow): LowtideError =>
  new LowtideError('revoked', `the operator has shut ${client.name} out`);

interface Redeemed {
  readonly client: ClientRow;
  readonly tokenHash: string;
  readonly usedAt: UnixMillis;
  readonly fresh: boolean;
}

async function enroll(
  db: Database,
  request: JoinRequest,
  word: Membership,
  now: UnixMillis,
): Promise<Redeemed> {
  const hash = secretHash(request.secret);
  const token = await findToken(db, hash);
  if (token === null) {
    throw new LowtideError('token-bad', 'this node has not made this token, or has taken it back');
  }
  if (now >= token.expires_at)
    throw new LowtideError('token-expired', 'the join token has expired: ask for a new one');
  // Which of the two a machine without a node is, its token says.
  const leaf = token.role === 'peer' ? 'peer' : 'agent';
  checkRole(token.role, word.node === null ? leaf : 'relay');
  const known = await findClient(db, request.client);
  if (token.used_at !== null) return answerAgain(token, known, request);
  await checkMayRegister(db, token, known, request);
  await requireAfterLeaving(db, word);
  const { client: id, instanceKey, membership } = request;
  const { joined, node } = word;
  const name = nameFor(token, request);
  const client = {
    id,
    name,
    node,
    role: token.role,
    instance_key: instanceKey,
    pass: rawKeyHash(request.tlsKey),
    enrolled_at: now,
  };
  if (!(await consumeToken(db, hash, id, now))) throw tokenUsed();
  await putClient(db, client);
  if (token.role !== 'peer')
    await putMember(db, { client: id, joined, via: id, name, node, membership }, word.at);
  if (token.reads !== null) await grantReading(db, client, token.reads, now);
  const row = await findClient(db, id);
  if (row === null) throw new TypeError('a client that was just registered is missing');
  return { client: row, tokenHash: hash, usedAt: now, fresh: true };
}

/** By words of the machine's own clock: nobody above would take it for having come back. */
async function requireAfterLeaving(db: Database, { client, joined, at }: Membership): Promise<void> {
  const left = await leftAt(db, client, joined);
  if (left === null || at > left) return;
  const when = new Date(left).toISOString().slice(0, 16);
  throw new LowtideError(
    'clock-off',
    `this machine has left here at ${when}Z by its own clock, which shows an earlier time now: set it`,
  );
}

/** Who looks later sees who was let read whose backups. */
async function grantReading(
  db: Database,
  reader: Pick<ClientRow, 'id' | 'name'>,
  client: ClientId,
  now: UnixMillis,
): Promise<void> {
  await letRead(db, reader.id, client, now);
  const whose = (await findClient(db, client))?.name ?? client;
  await noteChange(db, { key: `readers of ${whose}`, before: null, after: reader.name }, now);
}

/** @throws LowtideError `token-other-role` */
export function checkRole(forRole: Role, role: Role): void {
  if (forRole === role) return;
  const [whose, user] = USERS[forRole];
  const message = `the join token is for ${whose}: '${user}' uses it, and '${TOKEN_VERBS[role]}' makes the one that is needed here`;
  throw new LowtideError('token-other-role', message);
}

const USERS: Record<Role, readonly [whose: string, user: string]> = {
  agent: ['an agent', 'lowtide agent join'],
  relay: ['a relay', 'lowtide relay join'],
  peer: ['another center', 'lowtide center pull --from'],
};

const TOKEN_VERBS: Record<Role, string> = {
  agent: 'token',
  relay: 'token --relay',
  peer: 'token --peer',
};

const tokenUsed = (): LowtideError =>
  new LowtideError('token-used', 'the join token has been used by another machine: ask for a new one');

function answerAgain(token: TokenRow, known: ClientRow | null, request: JoinRequest): Redeemed {
  const same =
    known !== null &&
    token.used_by === request.client &&
    known.pass === rawKeyHash(request.tlsKey) &&
    equalBytes(known.instance_key, request.instanceKey);
  if (!same || token.used_at === null) throw tokenUsed();
  if (known.revoked_at !== null) throw revoked(known);
  return { client: known, tokenHash: token.hash, usedAt: token.used_at, fresh: false };
}

async function checkMayRegister(
  db: Database,
  token: TokenRow,
  known: ClientRow | null,
  request: JoinRequest,
): Promise<void> {
  const { client, instanceKey } = request;
  const ownsId = known === null || equalBytes(known.instance_key, instanceKey);
  if (!ownsId) throw new LowtideError('forbidden', 'this key may not speak for that client');
  if (known !== null && known.revoked_at !== null) throw revoked(known);
  if (known !== null && known.role !== token.role) {
    throw new LowtideError(
      'forbidden',
      `this machine is enrolled here as ${known.role}, the token is for ${token.role}`,
    );
  }
  const name = nameFor(token, request);
  const namesake = await findClientByName(db, name);
  if (namesake !== null && namesake.id !== client) {
    throw new LowtideError(
      'client-exists',
      `there is another client named ${name}: ask for a token with another name`,
    );
  }
}

function nameFor(token: TokenRow, request: JoinRequest): string {
  return checkDisplayName(token.name === '' ? request.host : token.name, 'the name of a client');
}
