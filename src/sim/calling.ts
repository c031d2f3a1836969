import { LowtideError } from '../model/errors.ts';
import type { CallSide } from './call.ts';
import type { Endpoint, Request } from './requests.ts';
import { serveCall, serveStream } from './serving.ts';
import { Inbox } from './streams.ts';

/** A method that answers with a promise. An abort rejects with `interrupted`, a broken connection with `center-unreachable`. */
export async function callMethod(endpoint: Endpoint, request: Request): Promise<unknown> {
  const { promise, resolve, reject } = Promise.withResolvers<unknown>();
  const interrupted = (): void =>
    reject(new LowtideError('interrupted', `${request.method} was interrupted`));
  if (isAborted(request)) {
    interrupted();
  } else {
    const call = endpoint.dial(request.method);
    call.caller.onEnd((error) => {
      if (error !== null) reject(error);
    });
    onAbort(request, call.caller, () => {
      interrupted();
      call.cancel();
    });
    const settled = (settle: () => void): void => {
      settle();
      call.caller.end(null);
    };
    const answer = {
      resolve: (value: unknown) => settled(() => resolve(value)),
      reject: (error: unknown) => settled(() => reject(error)),
    };
    void call.send('there', 'request', request.values, () => serveCall(call, endpoint, request, answer));
  }
  try {
    return await promise;
  } finally {
    await endpoint.caller.answer(() => {});
  }
}

/** A method that answers with a stream; it is called when the first item is asked for. An abort ends the stream. */
export function streamMethod(endpoint: Endpoint, request: Request): AsyncIterable<unknown> {
  return {
    [Symbol.asyncIterator]: () => {
      let inbox: Inbox<unknown> | null = null;
      let over = isAborted(request);
      const done = { done: true as const, value: undefined };
      return {
        next: async () => {
          if (over) return await endpoint.caller.answer(() => done);
          inbox ??= openStream(endpoint, request);
          return await inbox.next();
        },
        return: async () => {
          over = true;
          return inbox === null ? await endpoint.caller.answer(() => done) : await inbox.return();
        },
      };
    },
  };
}

function openStream(endpoint: Endpoint, request: Request): Inbox<unknown> {
  const call = endpoint.dial(request.method);
  const inbox = new Inbox<unknown>(call.caller, endpoint.window, () => call.cancel());
  onAbort(request, call.caller, () => void inbox.return());
  void call.send('there', 'request', request.values, () => serveStream(call, endpoint, request, inbox));
  return inbox;
}

function isAborted({ signals }: Request): boolean {
  return [...signals.values()].some((signal) => signal.aborted);
}

function onAbort({ signals }: Request, side: CallSide, abort: () => void): void {
  for (const signal of signals.values()) {
    signal.addEventListener('abort', abort, { once: true });
    side.onEnd(() => signal.removeEventListener('abort', abort));
  }
}
