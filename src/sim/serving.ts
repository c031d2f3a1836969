import { isLowtideError, LowtideError } from '../model/errors.ts';
import { ENDED } from '../model/stopping.ts';
import { CallSide, type Call } from './call.ts';
import { copyMessage } from './message.ts';
import type { Endpoint, Method, Request } from './requests.ts';
import { Inbox, pump } from './streams.ts';

export interface Answer {
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

/** A request for one answer has arrived; or has arrived again, and then its second answer reaches nobody. */
export function serveCall(call: Call, endpoint: Endpoint, request: Request, answer: Answer): void {
  const served = accept(call, endpoint);
  if (served === null) return;
  const { side, again, method } = served;
  const values = valuesFor(call, side, endpoint, request, answer);
  const reject = (error: unknown): void => answer.reject(error);
  void guarded(call, side, again, reject, async () => {
    const copied = copyMessage(await method(...values));
    if (!again) await call.send('back', 'answer', copied, () => answer.resolve(copied.value));
  });
}

/** A request for a stream has arrived. Its caller reads from `inbox`. */
export function serveStream(call: Call, endpoint: Endpoint, request: Request, inbox: Inbox<unknown>): void {
  const served = accept(call, endpoint);
  if (served === null || served.again) return;
  const { side, method } = served;
  const over = (error: unknown): void => {
    inbox.end(error);
    call.caller.end(null);
  };
  const failed = (error: unknown): void => {
    inbox.end(error);
    call.cancel();
  };
  const values = valuesFor(call, side, endpoint, request, { resolve: () => {}, reject: failed });
  void guarded(call, side, false, over, async () => {
    const source = method(...values) as AsyncIterable<unknown>;
    const enough = new Promise<void>(() => {});
    await pump({ call, direction: 'back', side, source, inbox, enough, onEnd: () => over(null) });
  });
}

interface Served {
  readonly side: CallSide;
  readonly again: boolean;
  readonly method: Method;
}

function accept(call: Call, endpoint: Endpoint): Served | null {
  const service = endpoint.service();
  if (service === null) {
    call.refuse();
    return null;
  }
  const again = call.callee !== null;
  const { api, incarnation } = service;
  const side = again ? new CallSide(incarnation, () => {}) : call.accept(incarnation);
  const method: Method = (...values) => {
    const implementation = api[call.method];
    if (implementation === undefined) throw new TypeError(`nothing implements ${call.method}`);
    return implementation.apply(api, values);
  };
  return { side, again, method };
}

/** LowtideErrors go to the caller; anything else is a defect of the node's code and fails the run. */
async function guarded(
  call: Call,
  side: CallSide,
  again: boolean,
  reject: (error: unknown) => void,
  serve: () => Promise<void>,
): Promise<void> {
  try {
    await serve();
  } catch (error) {
    if (!isLowtideError(error)) {
      if (side.incarnation.alive) side.incarnation.simulation.fail(error);
      return;
    }
    const { code, message } = error;
    const told = copyMessage({ code, message });
    if (!again) await call.send('back', 'error', told, () => reject(new LowtideError(code, message)));
  }
  side.end(null);
}

/** The arguments at the other end: a signal of its own, which also aborts with the connection, and streams pumped over. */
function valuesFor(
  call: Call,
  side: CallSide,
  endpoint: Endpoint,
  request: Request,
  answer: Answer,
): unknown[] {
  const stop = new AbortController();
  side.onEnd(() => stop.abort(ENDED));
  const values = [...copyMessage(request.values.value).value];
  for (const at of request.signals.keys()) values[at] = stop.signal;
  for (const [at, source] of request.sources) {
    const { promise: enough, resolve } = Promise.withResolvers<void>();
    const inbox = new Inbox<unknown>(side, endpoint.window, () => {
      void call.send('back', 'enough', copyMessage(null), () => resolve());
    });
    const onEnd = (): void => inbox.end(null);
    pump({ call, direction: 'there', side: call.caller, source, inbox, enough, onEnd }).catch(
      (error: unknown) => answer.reject(error),
    );
    values[at] = inbox;
  }
  return values;
}
