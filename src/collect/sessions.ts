import { findClient, setSession } from '../ledger/clients.ts';
import { hexOf } from '../model/bytes.ts';
import { LowtideError } from '../model/errors.ts';
import type { Hello, Welcome } from '../model/exchange.ts';
import { PROTOCOL_VERSION } from '../protocol/center-api.ts';
import type { Collector } from './collector.ts';

/**
 * Opens a session (protocol R10). Each answer carries a new token, and the next hello must show it. The token before it is
 * accepted once, because an answer can be lost or a machine put back from an old image; twice running means that two
 * machines use one identity.
 */
export async function welcome(collector: Collector, me: Hello, address: string | null): Promise<Welcome> {
  const { world, ledger, center } = collector.parts;
  const client = await findClient(ledger.db, me.client);
  if (client === null) throw new LowtideError('not-enrolled', 'this client is not enrolled here');
  if (client.revoked_at !== null) throw new LowtideError('revoked', "this client's access was revoked");
  const regular = client.session === null || me.session === client.session;
  if (!regular && client.session_before === STRUCK) {
    // Accepted again next time: a lone machine that lost two answers must not stay locked out.
    const unchanged = { token: client.session!, before: null, address };
    await setSession(ledger.db, me.client, unchanged, world.clock.now());
    throw cloneSuspected(collector, client.name);
  }
  const token = hexOf(world.random.bytes(16));
  const session = { token, before: regular ? client.session : STRUCK, address };
  await setSession(ledger.db, me.client, session, world.clock.now());
  const incarnation = await ledger.fact('incarnation');
  return {
    protocol: PROTOCOL_VERSION,
    center,
    session: token,
    clock: world.clock.now(),
    incarnation: incarnation ?? '',
    centers: [center],
    windows: collector.conditions.windows,
    zone: collector.conditions.zone,
  };
}

/** Stands for the token before, once an unexpected token was accepted. */
const STRUCK = 'struck';

function cloneSuspected(collector: Collector, name: string): LowtideError {
  const message = `two machines use the identity of ${name}: enroll one of them anew`;
  collector.parts.world.monitor.event({ kind: 'alarm', code: 'clone-suspected', message });
  return new LowtideError('clone-suspected', message);
}
