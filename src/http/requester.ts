import type { ClientRequest, IncomingMessage } from 'node:http';
import * as https from 'node:https';
import type { Duplex } from 'node:stream';
import type { ClientCredentials } from '../identity/client-identity.ts';
import { isLowtideError, LowtideError } from '../model/errors.ts';
import { decodeError } from '../protocol/frames.ts';
import { Gatherer } from '../protocol/gatherer.ts';
import { type CenterPin, connectAny, connectError, pinnedOptions } from './connecting.ts';
import type { HttpLimits } from './http-limits.ts';
import { type Patience, patiently } from './patience.ts';

const ERROR_BYTES_MAX = 8 * 1024;

export interface Asking {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  /** Of the body. */
  readonly type?: string;
  /** Without one the caller writes it into `request`, for a POST. */
  readonly body?: Uint8Array;
  /** What the answer must be. */
  readonly answerType: string;
  /** Until the answer begins. Left out: as long as the connection is not idle. */
  readonly wait_ms?: number;
  readonly stop?: AbortSignal;
  /** A status other than 200 whose answer is more than an error. */
  readonly also?: number;
}

/** Sends requests to one center and to nobody else. Redirects are not followed, and nothing is decoded on the way. */
export class Requester {
  readonly #pin: CenterPin;
  readonly #agent: PinnedAgent;
  readonly limits: HttpLimits;

  /** @throws LowtideError `wrong-center` if the root is not the pinned one */
  constructor(pin: CenterPin, ca: string, credentials: ClientCredentials | null, limits: HttpLimits) {
    this.#pin = pin;
    this.limits = limits;
    this.#agent = new PinnedAgent(pin, ca, credentials, limits);
  }

  /** One whole answer of at most `bytesMax`. Asked again, once, if the center had just closed the idle connection. */
  async call(asking: Asking & { readonly body: Uint8Array }, bytesMax: number): Promise<Uint8Array> {
    const response = await this.begin(asking);
    const gatherer = new Gatherer(bytesMax);
    for await (const chunks of patiently(response, this.patience())) {
      if (gatherer.pushAll(chunks)) continue;
      response.destroy();
      throw new LowtideError('bad-answer', `the center answered with more than ${bytesMax} bytes`);
    }
    return gatherer.bytes();
  }

  /** The beginning of an answer to a request that is whole. Errors of the center are thrown. */
  async begin(asking: Asking & { readonly body?: Uint8Array }): Promise<IncomingMessage> {
    for (let attempt = 0; ; attempt++) {
      const request = this.request(asking);
      request.end(asking.body);
      try {
        return await this.answer(request, asking);
      } catch (error) {
        const stale = request.reusedSocket && attempt === 0 && isReset(error);
        if (!stale || asking.stop?.aborted === true) throw error;
      }
    }
  }

  /** For a body that is written bit by bit: give the request to `answer` at once. */
  request({ method, path, type, body, stop }: Asking): ClientRequest {
    return https.request({
      agent: this.#agent,
      method,
      path,
      host: this.#pin.center,
      setHost: false,
      headers: {
        host: this.#pin.center,
        ...(type === undefined ? {} : { 'content-type': type }),
        ...(body === undefined ? {} : { 'content-length': body.length }),
      },
      ...(stop === undefined ? {} : { signal: stop }),
    });
  }

  /** @throws LowtideError what the center says, `center-unreachable`, `wrong-center`, `clock-off`, `bad-answer` */
  async answer(request: ClientRequest, { answerType, wait_ms, also }: Asking): Promise<IncomingMessage> {
    const response = await this.#response(request, wait_ms);
    if (response.statusCode !== 200 && response.statusCode !== also) throw await this.#refusal(response);
    const { 'content-type': type, 'content-encoding': encoding } = response.headers;
    if (type === answerType && encoding === undefined) return response;
    response.destroy();
    throw new LowtideError('bad-answer', 'the center answered with something else than was asked for');
  }

  patience(stop?: AbortSignal): Patience {
    const { idle_ms, bytes_per_second_min } = this.limits;
    return {
      idle_ms,
      bytes_per_second_min,
      ...(stop === undefined ? {} : { stop }),
      late: () => new LowtideError('center-unreachable', 'the center went silent'),
      broken: (cause) => connectError(cause, null),
    };
  }

  close(): void {
    this.#agent.destroy();
  }

  #response(request: ClientRequest, waitMs: number | undefined): Promise<IncomingMessage> {
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const late = (): void =>
      void request.destroy(new LowtideError('center-unreachable', 'the center does not answer'));
    const timer = waitMs === undefined ? undefined : setTimeout(late, waitMs);
    if (waitMs === undefined) request.setTimeout(this.limits.idle_ms, late);
    request.once('response', resolve);
    // Stays: a connection may break after the answer too, and then its reader says so.
    request.on('error', (error) => reject(connectError(error, null)));
    return promise.finally(() => clearTimeout(timer));
  }

  async #refusal(response: IncomingMessage): Promise<LowtideError> {
    const gatherer = new Gatherer(ERROR_BYTES_MAX);
    try {
      for await (const chunks of patiently(response, this.patience())) {
        if (!gatherer.pushAll(chunks)) break;
      }
    } finally {
      if (!response.complete) response.destroy();
    }
    return (
      decodeError(gatherer.bytes()) ??
      new LowtideError('bad-answer', `the center answered with status ${response.statusCode}`)
    );
  }
}

function isReset(error: unknown): boolean {
  if (!isLowtideError(error, 'center-unreachable')) return false;
  const { code } = (error.cause ?? {}) as NodeJS.ErrnoException;
  return code === 'ECONNRESET' || code === 'EPIPE';
}

/** Gives out connections only once they are proven to end at the right center. */
class PinnedAgent extends https.Agent {
  readonly #connect: () => Promise<Duplex>;
  readonly #closed = new AbortController();

  constructor(pin: CenterPin, ca: string, credentials: ClientCredentials | null, limits: HttpLimits) {
    super({ keepAlive: true, maxFreeSockets: 4, timeout: limits.keep_alive_ms });
    const options = pinnedOptions(pin, ca, credentials);
    this.#connect = () => connectAny(pin.addresses, options, limits.connect_ms, this.#closed.signal);
  }

  override destroy(): void {
    this.#closed.abort();
    super.destroy();
  }

  override createConnection(
    _options: unknown,
    callback?: (error: Error | null, stream: Duplex) => void,
  ): undefined {
    this.#connect().then(
      (socket) => callback?.(null, socket),
      (error: Error) => callback?.(error, undefined as never),
    );
  }
}
