import { findClient, setSession } from '../ledger/clients.ts';
import { isGone } from '../ledger/members.ts';
import type { ClientRow } from '../ledger/tables.ts';
import { hexOf } from '../model/bytes.ts';
import { LowtideError } from '../model/errors.ts';
import type { Hello, Welcome } from '../model/exchange.ts';
import { PROTOCOL_VERSION } from '../protocol/center-api.ts';
import type { Collector } from './collector.ts';

/**
 * Opens a session (protocol R10). Each answer carries a new token, and the next hello must show it. Whoever shows the
 * token of the last hello again did not get its answer. Anything else is accepted once running, for a machine that
 * was put back from an old image; twice running means that two machines use one identity.
 */
export async function welcome(collector: Collector, me: Hello, address: string | null): Promise<Welcome> {
  const { world, ledger, center, above } = collector.parts;
  const client = await findClient(ledger.db, me.client);
  if (client === null) throw new LowtideError('not-enrolled', 'this client is not enrolled here');
  if (client.revoked_at !== null) throw new LowtideError('revoked', "this client's access was revoked");
  if (await isGone(ledger.db, me.client, center.id)) {
    throw new LowtideError('not-enrolled', `this machine has left ${center.name}: join it with a new token`);
  }
  if (client.node !== null && (client.node === center.id || above?.path().includes(client.node))) {
    throw new LowtideError(
      'joined-in-circle',
      `the relay ${client.name} is above ${center.name} already: one of the two must leave the other`,
    );
  }
  const verdict = judge(client, me.session);
  if (verdict === 'clone') {
    // The next is accepted again: a machine must not stay locked out because another one has its identity.
    const unchanged = { token: client.session!, before: null, address };
    await setSession(ledger.db, me.client, unchanged, world.clock.now());
    throw cloneSuspected(collector, client.name);
  }
  const token = hexOf(world.random.bytes(16));
  const struck = verdict === 'strange' || (verdict === 'again' && isStruck(client));
  const session = { token, before: (struck ? STRUCK : '') + shownText(me.session), address };
  await setSession(ledger.db, me.client, session, world.clock.now());
  // What is above must know whom it may answer through here, before there is anything to offer.
  if (client.session === null) above?.changed();
  const incarnation = await ledger.fact('incarnation');
  if (client.node !== null) collector.relayWelcomed(me.client);
  return {
    protocol: PROTOCOL_VERSION,
    center,
    session: token,
    clock: world.clock.now(),
    incarnation: incarnation ?? '',
    centers: above === null ? [center] : above.centers(),
    above: [center.id, ...(above?.path() ?? [])],
    windows: collector.conditions.windows,
    zone: collector.conditions.zone,
    wishes: ['target'],
  };
}

/** Stands before the token that was shown last if that was not the one expected. */
const STRUCK = '!';

const shownText = (shown: string | null): string => shown ?? 'none';
const isStruck = ({ session_before }: ClientRow): boolean => session_before?.startsWith(STRUCK) === true;

function judge(client: ClientRow, shown: string | null): 'regular' | 'again' | 'strange' | 'clone' {
  if (client.session === null || shown === client.session) return 'regular';
  const before = client.session_before?.replace(STRUCK, '');
  if (before === shownText(shown)) return 'again';
  return isStruck(client) ? 'clone' : 'strange';
}

function cloneSuspected(collector: Collector, name: string): LowtideError {
  const message = `two machines use the identity of ${name}: enroll one of them anew`;
  collector.parts.world.monitor.event({ kind: 'alarm', code: 'clone-suspected', message });
  return new LowtideError('clone-suspected', message);
}
