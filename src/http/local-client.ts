import * as net from 'node:net';
import { z } from 'zod';
import { LowtideError, messageOf } from '../model/errors.ts';
import { errorOf } from '../protocol/frames.ts';
import { readLines } from './lines.ts';
import { LINE_BYTES_MAX, type ManyAnswers, type OneAnswer, type Verbs } from './local-verbs.ts';
import { patiently } from './patience.ts';

const lineShape = z.union([
  z.strictObject({ item: z.unknown() }),
  z.strictObject({ result: z.unknown() }),
  z.strictObject({ error: z.unknown() }),
]);

/** As long as the asker likes to wait: who is tired of it aborts. */
const PATIENT_MS = 2 ** 31 - 1;

type OneOf<V> = { [K in keyof V]: V[K] extends OneAnswer<unknown, unknown> ? K : never }[keyof V] & string;
type ManyOf<V> = Exclude<keyof V, OneOf<V>> & string;
type ArgsOf<T> = T extends { readonly args?: infer Args } ? Exclude<Args, undefined> : never;
type AnswerOf<T> = T extends OneAnswer<unknown, infer Answer> ? Answer : never;
type ItemOf<T> = T extends ManyAnswers<unknown, infer Item, unknown> ? Item : never;
type ResultOf<T> = T extends ManyAnswers<unknown, unknown, infer Result> ? Result : never;

/** A running node on this machine, for its owner. `V` is the type of the table of verbs that it serves. */
export interface LocalClient<V extends Verbs> {
  /** @throws LowtideError what the node says, `crashed` if it ends before it answers, `interrupted` after `stop` */
  ask<K extends OneOf<V>>(verb: K, args: ArgsOf<V[K]>, stop?: AbortSignal): Promise<AnswerOf<V[K]>>;
  /** The items as they come; the result is what the generator returns. Ending it early tells the node to stop. */
  watch<K extends ManyOf<V>>(
    verb: K,
    args: ArgsOf<V[K]>,
    stop?: AbortSignal,
  ): AsyncGenerator<ItemOf<V[K]>, ResultOf<V[K]>>;
}

/**
 * Null if no process answers there: then the data folder may be opened directly.
 * @throws LowtideError `forbidden` if the socket is another user's
 */
export async function connectLocal<V extends Verbs>(path: string): Promise<LocalClient<V> | null> {
  const socket = await open(path);
  if (socket === null) return null;
  socket.destroy();
  return {
    ask: async (verb, args, stop) => {
      const answers = converse(path, verb, args, stop);
      const { value, done } = await answers.next();
      await answers.return(undefined);
      if (done === true) return value as never;
      throw new LowtideError('bad-answer', `${verb} answers with more than one thing`);
    },
    watch: (verb, args, stop) => converse(path, verb, args, stop) as never,
  };
}

async function* converse(
  path: string,
  verb: string,
  args: unknown,
  stop?: AbortSignal,
): AsyncGenerator<unknown, unknown> {
  const socket = await open(path);
  if (socket === null) throw ended();
  const patience = {
    idle_ms: PATIENT_MS,
    bytes_per_second_min: 0,
    ...(stop === undefined ? {} : { stop: named(stop) }),
    late: ended,
    broken: ended,
  };
  try {
    socket.write(JSON.stringify({ verb, args }) + '\n');
    for await (const bytes of readLines(patiently(socket, patience), LINE_BYTES_MAX, 'bad-answer')) {
      const line = lineShape.parse(JSON.parse(bytes.toString()));
      if ('result' in line) return line.result;
      if ('error' in line) throw errorOf(line.error) ?? ended();
      yield line.item;
    }
    throw ended();
  } finally {
    socket.destroy();
  }
}

const ended = (): LowtideError => new LowtideError('crashed', 'the running node ended before it answered');

/** The same signal with an error that people may see. */
function named(stop: AbortSignal): AbortSignal {
  const controller = new AbortController();
  const abort = (): void => controller.abort(new LowtideError('interrupted', 'interrupted'));
  if (stop.aborted) abort();
  else stop.addEventListener('abort', abort, { once: true });
  return controller.signal;
}

function open(path: string): Promise<net.Socket | null> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(path);
    socket.once('connect', () => {
      socket.off('error', failed).on('error', () => {});
      resolve(socket);
    });
    const failed = (error: NodeJS.ErrnoException): void => {
      if (['ENOENT', 'ECONNREFUSED', 'ENOTSOCK'].includes(error.code ?? '')) resolve(null);
      else
        reject(new LowtideError('forbidden', `cannot ask the running node on ${path}: ${messageOf(error)}`));
    };
    socket.once('error', failed);
  });
}
