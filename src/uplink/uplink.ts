import { Bell } from '../model/bell.ts';
import { isLowtideError, LowtideError, messageOf } from '../model/errors.ts';
import type { Order, Welcome } from '../model/exchange.ts';
import type { OrderId } from '../model/ids.ts';
import { untilStopped } from '../model/stopping.ts';
import { MINUTE_MS } from '../model/time.ts';
import { type CenterApi, PROTOCOL_VERSION } from '../protocol/center-api.ts';
import { offerOwed } from './offering.ts';
import type { UplinkParts } from './parts.ts';
import { rememberConditions } from './conditions.ts';
import { collectAnswers, reconcile } from './reconciling.ts';
import { sendSnapshot } from './sending.ts';

/** A certificate and a window are both judged by clocks: more than this apart is worth an alarm. */
const CLOCK_SKEW_MS = 5 * MINUTE_MS;

export interface UplinkStatus {
  readonly connected: boolean;
  /** Why not, when not connected. */
  readonly code: string;
  readonly message: string;
  readonly welcome: Welcome | null;
}

/**
 * Faces up to one center: offers what the ledger owes it, sends on order, stores receipts. Losing the connection at
 * any point loses nothing: everything is asked again after the next hello.
 */
export class Uplink {
  readonly #parts: UplinkParts;
  #status: UplinkStatus = { connected: false, code: '', message: 'not connected yet', welcome: null };
  #api: CenterApi | null = null;
  readonly #bell = new Bell();

  constructor(parts: UplinkParts) {
    this.#parts = parts;
  }

  get status(): UplinkStatus {
    return this.#status;
  }

  /** Something new is owed: offer it now, and do not wait for the next attempt to connect. */
  wake(): void {
    this.#bell.ring();
  }

  /** Asks the center how our copies stand; nothing happens while it cannot be reached. */
  async refresh(): Promise<void> {
    if (this.#api !== null) await collectAnswers(this.#parts, this.#api);
  }

  /** Stays connected, with exponential back-off, until `stop`. */
  async run(stop: AbortSignal): Promise<void> {
    const { world } = this.#parts;
    let wait = world.limits.retry_ms_min;
    while (!stop.aborted) {
      const connectedOnce = await this.#session(stop);
      wait = connectedOnce ? world.limits.retry_ms_min : Math.min(wait * 2, world.limits.retry_ms_max);
      if (!stop.aborted) await this.#rest(wait, stop);
    }
  }

  /** One connection from hello to its end. True if the center answered. */
  async #session(stop: AbortSignal): Promise<boolean> {
    const { world, center } = this.#parts;
    const session = new AbortController();
    const end = (): void => session.abort();
    stop.addEventListener('abort', end, { once: true });
    let answered = false;
    try {
      const api = await this.#parts.connect();
      const welcome = await this.#hello(api);
      answered = true;
      await reconcile(this.#parts, api, welcome.incarnation);
      this.#setConnected(api, welcome);
      await this.#serve(api, session.signal);
      this.#setDisconnected('center-unreachable', 'the center ended the connection');
    } catch (error) {
      if (!isLowtideError(error) && !stop.aborted) {
        world.monitor.event({
          kind: 'alarm',
          code: 'crashed',
          message: `sending to ${center.name} failed: ${messageOf(error)}`,
        });
      }
      this.#setDisconnected(isLowtideError(error) ? error.code : 'crashed', messageOf(error));
    } finally {
      stop.removeEventListener('abort', end);
      session.abort();
    }
    return answered;
  }

  async #hello(api: CenterApi): Promise<Welcome> {
    const { ledger, center, client, instance, software, world } = this.#parts;
    const fact = `session/${center.id}`;
    const clock = world.clock.now();
    const session = await ledger.fact(fact);
    const welcome = await api.hello({
      protocol: PROTOCOL_VERSION,
      client,
      instance,
      software,
      session,
      clock,
    });
    if (welcome.center.id !== center.id) {
      throw new LowtideError(
        'wrong-center',
        `this is ${welcome.center.name}, not the center ${center.name} that was joined`,
      );
    }
    await ledger.setFact(fact, welcome.session);
    await rememberConditions(ledger, welcome);
    if (Math.abs(welcome.clock - clock) > CLOCK_SKEW_MS) {
      const minutes = Math.round((clock - welcome.clock) / MINUTE_MS);
      const message = `this clock is ${Math.abs(minutes)} min ${minutes > 0 ? 'ahead of' : 'behind'} the clock of ${center.name}: set it`;
      world.monitor.event({ kind: 'alarm', code: 'clock-off', message });
    }
    return welcome;
  }

  /** Offers, then does what it is ordered, until the connection ends. */
  async #serve(api: CenterApi, stop: AbortSignal): Promise<void> {
    const ended = new AbortController();
    const offering = this.#offerWhenWoken(api, AbortSignal.any([stop, ended.signal]));
    const sending = new Map<OrderId, { stop: AbortController; done: Promise<void> }>();
    try {
      for await (const order of untilStopped(api.orders(stop), stop)) {
        if (order.kind === 'send') this.#startSending(api, order, sending);
        else if (order.kind === 'stop') sending.get(order.order)?.stop.abort();
        else if (order.kind === 'news') this.wake();
      }
    } finally {
      ended.abort();
      for (const { stop: abort } of sending.values()) abort.abort();
      await Promise.allSettled([offering, ...[...sending.values()].map(({ done }) => done)]);
    }
  }

  async #offerWhenWoken(api: CenterApi, stop: AbortSignal): Promise<void> {
    for (;;) {
      await this.#bell.wait(stop);
      if (stop.aborted) return;
      await offerOwed(this.#parts, api).catch((error: unknown) => this.#report('offering', error));
    }
  }

  #startSending(
    api: CenterApi,
    order: Order & { kind: 'send' },
    sending: Map<OrderId, { stop: AbortController; done: Promise<void> }>,
  ): void {
    const abort = new AbortController();
    const done = sendSnapshot(this.#parts, api, order, abort.signal)
      .catch((error: unknown) => {
        if (!isLowtideError(error, 'order-ended', 'center-unreachable')) this.#report('sending', error);
      })
      .finally(() => sending.delete(order.order));
    sending.set(order.order, { stop: abort, done });
  }

  #report(doing: string, error: unknown): void {
    const code = isLowtideError(error) ? error.code : 'crashed';
    const message = `${doing} to ${this.#parts.center.name} failed: ${messageOf(error)}`;
    this.#parts.world.monitor.event({ kind: 'alarm', code, message });
  }

  #setConnected(api: CenterApi, welcome: Welcome): void {
    this.#api = api;
    this.#status = { connected: true, code: '', message: '', welcome };
    this.#parts.world.monitor.event({ kind: 'connected', center: welcome.center.id });
  }

  #setDisconnected(code: string, message: string): void {
    this.#api = null;
    const news = this.#status.connected || this.#status.message !== message;
    this.#status = { connected: false, code, message, welcome: this.#status.welcome };
    const { world, center } = this.#parts;
    if (news) world.monitor.event({ kind: 'disconnected', center: center.id, code, message });
  }

  /** A wake-up ends the rest: something new is owed, perhaps the center is back. */
  async #rest(ms: number, stop: AbortSignal): Promise<void> {
    const over = new AbortController();
    const until = AbortSignal.any([stop, over.signal]);
    await Promise.race([this.#bell.wait(until), this.#parts.world.clock.sleep(ms, until)]);
    over.abort();
  }
}
