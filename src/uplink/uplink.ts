import { endTransit } from '../ledger/copies.ts';
import { Bell } from '../model/bell.ts';
import { isLowtideError, LowtideError, messageOf } from '../model/errors.ts';
import type { Order, Welcome } from '../model/exchange.ts';
import { type OrderId, shortId, type SnapshotId } from '../model/ids.ts';
import { ENDED, untilStopped } from '../model/stopping.ts';
import { DAY_MS, MINUTE_MS } from '../model/time.ts';
import { type CenterApi, type DeclineReason, PROTOCOL_VERSION } from '../protocol/center-api.ts';
import { Pace } from '../protocol/pace.ts';
import { GOES_ON, NEEDS_SOMEBODY } from './alarms.ts';
import { openCopies, wasOwed } from './copy-states.ts';
import { MembersTold } from './members-told.ts';
import { News } from './news.ts';
import { offerOwed } from './offering.ts';
import { giveWay } from './giving-way.ts';
import { type UplinkParts, type UplinkWork, workOf } from './parts.ts';
import { type KnownConditions, rememberConditions } from './conditions.ts';
import { collectAnswers, collectAnswersOn, downgradeIfLost, reconcile } from './reconciling.ts';
import { sendSnapshot } from './sending.ts';
import { stoppable } from './stoppable.ts';
import type { UplinkStatus } from './uplink-status.ts';

/** A certificate and a window are both judged by clocks: more than this apart is worth an alarm. */
const CLOCK_SKEW_MS = 5 * MINUTE_MS;
/** Orders that are carried out at the same time. */
const SENDING_MAX = 100;
/** Orders that are declined at the same time: a center that orders without end hears no more than that. */
const DECLINING_MAX = 10;
/**
 * Faces up to one node, a center or a relay: offers what the ledger owes to where it leads, sends on order, stores receipts.
 * Losing the connection at any point loses nothing: everything is asked again after the next hello.
 */
export class Uplink {
  readonly #work: UplinkWork;
  #status: UplinkStatus;
  #api: CenterApi | null = null;
  readonly #bell = new Bell();
  readonly #news = new News();
  /** Snapshots whose sending ended without an answer. */
  readonly #unsure = new Set<SnapshotId>();
  readonly #told: MembersTold;
  readonly #retired = new AbortController();
  #declining = 0;

  constructor(parts: UplinkParts) {
    this.#work = workOf(parts);
    this.#told = new MembersTold(this.#work);
    const since = parts.world.clock.now();
    const never = { code: '', message: 'not connected yet', retryAt: null, welcome: null };
    this.#status = { connected: false, since, ...never };
  }

  get status(): UplinkStatus {
    return this.#status;
  }

  /** The node above while it is connected: for questions of others than this uplink. */
  get api(): CenterApi | null {
    return this.#api;
  }

  /** Something new is owed: offer it now, and do not wait for the next attempt to connect. */
  wake(): void {
    this.#bell.ring();
  }

  /** Asks the center how our copies stand; nothing happens while it cannot be reached. */
  async refresh(): Promise<void> {
    if (this.#api !== null) await collectAnswers(this.#work, this.#api);
  }

  /** Tells of machines below that came since it told last, if the node above is connected. */
  async introduce(): Promise<void> {
    try {
      if (this.#api !== null) await this.#told.tell(this.#api);
    } catch (error) {
      if (!isLowtideError(error)) throw error;
    }
  }

  /**
   * Learns a center's conditions by one hello. Only while `run` does not: two hellos at once look like two machines.
   * @throws LowtideError `center-unreachable`, and what a center answers to a hello
   */
  async learn(): Promise<void> {
    await this.#hello(await this.#work.connect());
  }

  /** The node above was left: nothing goes this way any more. */
  retire(): void {
    this.#retired.abort(ENDED);
  }

  /** Stays connected, with exponential back-off, until `until`. A try that somebody woke it for makes no wait longer. */
  async run(until: AbortSignal): Promise<void> {
    const stop = AbortSignal.any([until, this.#retired.signal]);
    const { limits } = this.#work.world;
    let wait = limits.retry_ms_min;
    await this.#endTransit('interrupted');
    for (let woken = false; !stop.aborted;) {
      const connected = await this.#session(stop);
      if (connected) wait = limits.retry_ms_min;
      else if (!woken) wait = Math.min(wait * 2, limits.retry_ms_max);
      if (!stop.aborted) woken = await this.#rest(wait, stop);
    }
  }

  /** One connection from hello to its end. True if it got as far as being of use. */
  async #session(stop: AbortSignal): Promise<boolean> {
    const session = new AbortController();
    const end = (): void => session.abort(ENDED);
    stop.addEventListener('abort', end, { once: true });
    let connected = false;
    try {
      const api = stoppable(await this.#work.connect(), session.signal);
      const welcome = await this.#hello(api);
      this.#told.forget();
      await this.#told.tell(api);
      await reconcile(this.#work, api, welcome.incarnation);
      connected = true;
      this.#setConnected(api, welcome);
      await this.#serve(api, session.signal);
      this.#setDisconnected('center-unreachable', 'the center ended the connection');
    } catch (error) {
      if (!stop.aborted) this.#sessionFailed(error);
      this.#setDisconnected(isLowtideError(error) ? error.code : 'crashed', this.#explained(error));
    } finally {
      stop.removeEventListener('abort', end);
      session.abort(ENDED);
    }
    if (connected) await this.#endTransit('center-unreachable');
    return connected;
  }

  async #hello(api: CenterApi): Promise<Welcome> {
    const { ledger, upstream, client, instance, software, world, node } = this.#work;
    const fact = `session/${upstream.id}`;
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
    if (welcome.center.id !== upstream.id) {
      throw new LowtideError(
        'wrong-center',
        `this is ${welcome.center.name}, not ${upstream.name} that was joined`,
      );
    }
    if (node !== null && welcome.above.includes(node)) {
      throw new LowtideError(
        'joined-in-circle',
        `${upstream.name} sends to this relay, perhaps by others between: leave one of the two`,
      );
    }
    await ledger.setFact(fact, welcome.session);
    await this.#rememberConditions(welcome);
    this.#compareClocks(clock, welcome.clock);
    return welcome;
  }

  /** Hours that cannot be read keep nobody from sending: they are for people and for checking new jobs. */
  async #rememberConditions(told: KnownConditions): Promise<void> {
    const { ledger, alarms, upstream } = this.#work;
    try {
      await rememberConditions(ledger, upstream.id, told);
      alarms.clear('conditions');
    } catch (error) {
      if (!isLowtideError(error, 'bad-schedule', 'bad-zone')) throw error;
      alarms.raise('conditions', error.code, `${upstream.name} tells hours that cannot be read`);
    }
  }

  #compareClocks(ours: number, theirs: number): void {
    const { alarms, upstream } = this.#work;
    if (Math.abs(theirs - ours) <= CLOCK_SKEW_MS) return alarms.clear('clock');
    const off = Math.abs(ours - theirs);
    const much = off < 3 * DAY_MS ? `${Math.round(off / MINUTE_MS)} min` : `${Math.round(off / DAY_MS)} days`;
    const message = `this clock is ${much} ${ours > theirs ? 'ahead of' : 'behind'} the clock of ${upstream.name}: set it`;
    alarms.raise('clock', 'clock-off', message);
  }

  /** Offers, then does what it is ordered, until the connection ends. */
  async #serve(api: CenterApi, stop: AbortSignal): Promise<void> {
    const ended = new AbortController();
    const keeping = this.#keepUp(api, AbortSignal.any([stop, ended.signal]));
    const sending = new Map<OrderId, UnderWay>();
    try {
      for await (const order of untilStopped(api.orders(stop), stop)) {
        if (order.kind === 'send') this.#startSending(api, order, sending);
        else if (order.kind === 'rate') sending.get(order.order)?.pace.setRate(order.rate);
        else if (order.kind === 'stop') sending.get(order.order)?.stop.abort(order.code);
        else if (order.kind === 'news') this.#hear(order.snapshots);
        else await this.#rememberConditions(order);
      }
    } finally {
      ended.abort();
      for (const { stop: abort } of sending.values()) abort.abort();
      await Promise.allSettled([keeping, ...[...sending.values()].map(({ done }) => done)]);
    }
  }

  /** Something may have changed above. */
  #hear(snapshots?: readonly SnapshotId[]): void {
    this.#news.add(snapshots);
    this.wake();
  }

  /**
   * Keeps both sides of one mind while the connection lasts: when something is new, and now and then. What could not be
   * offered or asked is tried again after a while.
   */
  async #keepUp(api: CenterApi, stop: AbortSignal): Promise<void> {
    const { clock, limits } = this.#work.world;
    let wait = limits.retry_ms_min;
    for (;;) {
      const rung = await this.#rungWithin(limits.ask_ms, stop);
      if (stop.aborted) return;
      try {
        const news = this.#news.take();
        if (!rung || news === 'any') await collectAnswers(this.#work, api);
        else await collectAnswersOn(this.#work, api, news);
        if (!rung && this.#work.upstream.kind === 'relay') await downgradeIfLost(this.#work, api);
        await this.#askUnsure(api);
        await this.#told.tell(api);
        await offerOwed(this.#work, api);
        wait = limits.retry_ms_min;
        this.#work.alarms.clear('offering');
        await clock.sleep(limits.gather_ms, stop);
      } catch (error) {
        this.#report('offering', 'offering', error);
        this.#news.add();
        await clock.sleep(wait, stop);
        wait = Math.min(wait * 2, limits.retry_ms_max);
        this.wake();
      }
    }
  }

  /** A commit whose answer was lost has been done all the same. */
  async #askUnsure(api: CenterApi): Promise<void> {
    const unsure = [...this.#unsure];
    if (unsure.length === 0) return;
    await collectAnswersOn(this.#work, api, unsure);
    for (const snapshot of unsure) this.#unsure.delete(snapshot);
  }

  /** False if the time was over first. */
  async #rungWithin(ms: number, stop: AbortSignal): Promise<boolean> {
    return await this.#bell.waitWithin((until) => this.#work.world.clock.sleep(ms, until), stop);
  }

  #startSending(api: CenterApi, order: Order & { kind: 'send' }, sending: Map<OrderId, UnderWay>): void {
    const { snapshot } = order;
    if (sending.has(order.order)) return;
    // One snapshot is sent once at a time, whatever a center orders, and what is too much is ordered again.
    const twice = [...sending.values()].some((other) => other.snapshot === snapshot);
    if (twice || sending.size >= SENDING_MAX) return void this.#decline(api, order, 'busy');
    const abort = new AbortController();
    const { clock } = this.#work.world;
    const pace = new Pace(clock, order.rate);
    const way = this.#work.yields() ? giveWay(clock, api, order.order, pace, abort.signal) : null;
    const done = this.#carryOut(api, order, pace, abort.signal)
      .catch((error: unknown) => {
        this.#unsure.add(snapshot);
        if (!abort.signal.aborted) this.#report(`sending ${snapshot}`, 'sending', error);
      })
      .then(async () => {
        abort.abort();
        await way;
        sending.delete(order.order);
        // Something may have to be told: that a snapshot was given up, for one.
        this.wake();
      });
    sending.set(order.order, { snapshot, stop: abort, pace, done });
  }

  /** What it is not owed it may order as often as it likes: that is one trouble, and nothing is done about it. */
  async #carryOut(
    api: CenterApi,
    order: Order & { kind: 'send' },
    pace: Pace,
    stop: AbortSignal,
  ): Promise<void> {
    const { snapshot } = order;
    const { alarms, upstream } = this.#work;
    if ((await openCopies(this.#work, snapshot)).length === 0) {
      // It may have come another way, or have been closed, since it was offered here.
      await this.#decline(api, order, 'not-owed');
      if (await wasOwed(this.#work, snapshot)) return;
      const message = `${upstream.name} orders snapshot ${shortId(snapshot)}, which is not owed to it`;
      return alarms.raise('orders', 'wrong-state', message);
    }
    const sent = await sendSnapshot(this.#work, api, order, pace, stop);
    if (!sent) {
      // Should it be here again, it is offered again.
      this.#work.offered.delete(snapshot);
      return await this.#decline(api, order, 'not-here');
    }
    alarms.clear(`sending ${snapshot}`);
  }

  /** So that its stream is somebody else's at once. One that does not hear of it, or does not know what it means, sees the order idle. */
  async #decline(api: CenterApi, { order }: Order & { kind: 'send' }, why: DeclineReason): Promise<void> {
    if (this.#declining >= DECLINING_MAX) return;
    this.#declining++;
    try {
      await api.decline(order, why);
    } catch (error) {
      if (!isLowtideError(error)) throw error;
    } finally {
      this.#declining--;
    }
  }

  /** What hello will be told too is told there. */
  #report(subject: string, doing: string, error: unknown): void {
    if (isLowtideError(error, ...GOES_ON, ...NEEDS_SOMEBODY)) return;
    const code = isLowtideError(error) ? error.code : 'crashed';
    const message = `${doing} to ${this.#work.upstream.name} failed: ${messageOf(error)}`;
    this.#work.alarms.raise(subject, code, message);
  }

  #sessionFailed(error: unknown): void {
    const { upstream, alarms } = this.#work;
    if (!isLowtideError(error)) {
      alarms.raise('session', 'crashed', `sending to ${upstream.name} failed: ${messageOf(error)}`);
    } else if (NEEDS_SOMEBODY.includes(error.code)) {
      alarms.raise('session', error.code, this.#explained(error));
    }
  }

  #explained(error: unknown): string {
    if (!isLowtideError(error, 'not-enrolled')) return messageOf(error);
    return (
      `${this.#work.upstream.name} does not know this machine: it may have been put back from an old copy; ` +
      `ask its operator for a new token and join again (${error.message})`
    );
  }

  #setConnected(api: CenterApi, welcome: Welcome): void {
    this.#api = api;
    this.#work.offered.clear();
    this.#work.understands.clear();
    for (const wish of welcome.wishes ?? []) this.#work.understands.add(wish);
    this.#work.route.setOpen(true);
    const since = this.#work.world.clock.now();
    this.#status = { connected: true, since, code: '', message: '', retryAt: null, welcome };
    this.#work.alarms.clear('session');
    this.#work.world.monitor.event({ kind: 'connected', center: welcome.center.id });
    this.#work.onConnected();
  }

  #setDisconnected(code: string, message: string): void {
    this.#api = null;
    this.#work.route.setOpen(false);
    const { world, upstream } = this.#work;
    const { connected, welcome } = this.#status;
    const news = connected || this.#status.message !== message;
    const since = connected ? world.clock.now() : this.#status.since;
    this.#status = { connected: false, since, code, message, retryAt: null, welcome };
    if (news) world.monitor.event({ kind: 'disconnected', center: upstream.id, code, message });
  }

  async #endTransit(code: string): Promise<void> {
    const { ledger, centers, world } = this.#work;
    for (const { id } of centers) await endTransit(ledger.db, id, code, world.clock.now());
  }

  /**
   * A wake-up ends the rest: something new is owed, perhaps the center is back. A quarter more or less, so that a fleet
   * does not come back all at once. True if it was woken.
   */
  async #rest(ms: number, stop: AbortSignal): Promise<boolean> {
    const { random, clock } = this.#work.world;
    const rest = Math.round(ms * (0.75 + random.bytes(1)[0]! / 512));
    this.#status = { ...this.#status, retryAt: clock.now() + rest };
    const woken = await this.#rungWithin(rest, stop);
    this.#status = { ...this.#status, retryAt: null };
    return woken;
  }
}

interface UnderWay {
  readonly snapshot: SnapshotId;
  readonly stop: AbortController;
  readonly pace: Pace;
  readonly done: Promise<void>;
}
