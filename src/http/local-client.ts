import * as net from 'node:net';
import { z } from 'zod';
import { LowtideError, messageOf } from '../model/errors.ts';
import { errorOf } from '../protocol/frames.ts';
import { readLines } from './lines.ts';
import { LINE_BYTES_MAX, type ManyAnswers, type OneAnswer, type Verbs } from './local-verbs.ts';
import { errnoWords } from '../world/system/errno.ts';
import { patiently } from './patience.ts';

const lineShape = z.union([
  z.strictObject({ item: z.unknown() }),
  z.strictObject({ result: z.unknown() }),
  z.strictObject({ error: z.unknown() }),
]);

/** After so long without a word it is looked whether the node is there, which has so long to answer. */
const PATIENCE = { silent_ms: 5_000, answer_ms: 25_000 };
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
  /** @throws LowtideError what the node says, `crashed` if it ends before it answers, `not-answering`, `too-many`, `interrupted` after `stop` */
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
 * @param onSilent told once that an answer takes its time
 * @throws LowtideError `forbidden` if the socket is another user's
 */
export async function connectLocal<V extends Verbs>(
  path: string,
  onSilent: () => void = () => {},
  times: typeof PATIENCE = PATIENCE,
): Promise<LocalClient<V> | null> {
  const socket = await open(path);
  if (socket === null) return null;
  socket.destroy();
  return {
    ask: async (verb, args, stop) => {
      const answers = converse({ path, onSilent, times, stop }, verb, args);
      const { value, done } = await answers.next();
      await answers.return(undefined);
      if (done === true) return value as never;
      throw new LowtideError('bad-answer', `${verb} answers with more than one thing`);
    },
    watch: (verb, args, stop) => converse({ path, onSilent, times, stop }, verb, args) as never,
  };
}

interface Asking {
  readonly path: string;
  readonly onSilent: () => void;
  readonly times: typeof PATIENCE;
  readonly stop: AbortSignal | undefined;
}

async function* converse(asking: Asking, verb: string, args: unknown): AsyncGenerator<unknown, unknown> {
  const { path, stop } = asking;
  const socket = await open(path);
  if (socket === null) throw ended();
  const watch = new SilenceWatch(asking);
  const cut = ended();
  const signals = stop === undefined ? [watch.signal] : [watch.signal, named(stop)];
  const patience = {
    idle_ms: PATIENT_MS,
    bytes_per_second_min: 0,
    stop: AbortSignal.any(signals),
    late: ended,
    broken: () => cut,
  };
  try {
    socket.write(JSON.stringify({ verb, args }) + '\n');
    for await (const bytes of readLines(patiently(socket, patience), LINE_BYTES_MAX, 'bad-answer')) {
      watch.pause();
      const line = lineShape.parse(JSON.parse(bytes.toString()));
      if ('result' in line) return line.result;
      if ('error' in line) throw errorOf(line.error) ?? ended();
      yield line.item;
      watch.start();
    }
    throw cut;
  } catch (error) {
    throw error === cut ? await hungUp(path) : error;
  } finally {
    watch.pause();
    socket.destroy();
  }
}

/**
 * Looks whether a node that says nothing is there at all: a second question, which it refuses at once, needs its event loop and nothing else.
 * So one that works for hours is waited for, and one that was stopped is not.
 */
class SilenceWatch {
  readonly #asking: Asking;
  readonly #over = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #told = false;

  constructor(asking: Asking) {
    this.#asking = asking;
    this.start();
  }

  /** Aborts with what to tell. */
  get signal(): AbortSignal {
    return this.#over.signal;
  }

  start(): void {
    this.#timer = setTimeout(() => void this.#look(), this.#asking.times.silent_ms);
  }

  pause(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  async #look(): Promise<void> {
    const timer = this.#timer;
    const { path, onSilent, times } = this.#asking;
    if (!this.#told) onSilent();
    this.#told = true;
    const answers = await doesAnswer(path, times.answer_ms);
    // It has said something meanwhile.
    if (this.#timer !== timer) return;
    if (answers) return this.start();
    const message = `the running node has not answered on ${path} for ${(times.silent_ms + times.answer_ms) / 1000} s: it was stopped, or hangs; end it and start it again`;
    this.#over.abort(new LowtideError('not-answering', message));
  }
}

/** Whether anything answers there, to a question that no node knows. */
async function doesAnswer(path: string, answerMs: number): Promise<boolean> {
  const socket = await open(path).catch(() => null);
  if (socket === null) return true;
  try {
    socket.write(JSON.stringify({ verb: '', args: {} }) + '\n');
    return await new Promise((resolve) => {
      const late = setTimeout(() => resolve(false), answerMs);
      const heard = (): void => {
        clearTimeout(late);
        resolve(true);
      };
      // One that has ended closes the conversation itself.
      socket.once('data', heard).once('close', heard);
    });
  } finally {
    socket.destroy();
  }
}

/** The system closes what a process cannot take for want of files, without its knowing: then it is there all the same. */
async function hungUp(path: string): Promise<LowtideError> {
  const socket = await open(path).catch(() => null);
  if (socket === null) return ended();
  socket.destroy();
  return new LowtideError(
    'too-many',
    `the running node on ${path} takes no more connections: it has as many open files as it may (ulimit -n; with systemd, LimitNOFILE)`,
  );
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
      else if (['EMFILE', 'ENFILE'].includes(error.code ?? ''))
        reject(new LowtideError('too-many', `cannot ask the running node on ${path}: ${errnoWords(error)}`));
      else
        reject(new LowtideError('forbidden', `cannot ask the running node on ${path}: ${messageOf(error)}`));
    };
    socket.once('error', failed);
  });
}
