import type { z } from 'zod';
import { decodeMessage } from '../protocol/fields.ts';
import type { JsonValue } from '../protocol/strict-json.ts';

/**
 * What people (the command line, later the dashboard) can ask a running node. Arguments and answers are plain JSON.
 * `stop` aborts when the asker has gone.
 */
export interface OneAnswer<Args, Answer> {
  readonly kind: 'one';
  readonly run: (args: JsonValue, stop: AbortSignal) => Promise<Answer>;
  /** Only a type: what `run` takes once it is checked. */
  readonly args?: Args;
}

/** Items while it works, and what the generator returns at the end. */
export interface ManyAnswers<Args, Item, Result> {
  readonly kind: 'many';
  readonly run: (args: JsonValue, stop: AbortSignal) => AsyncGenerator<Item, Result>;
  readonly args?: Args;
}

export type Verbs = Readonly<
  Record<string, OneAnswer<unknown, unknown> | ManyAnswers<unknown, unknown, unknown>>
>;

/** @param shape of the arguments; what does not fit is a `bad-request` and never reaches `run` */
export function one<Args, Answer>(
  shape: z.ZodType<Args>,
  run: (args: Args, stop: AbortSignal) => Promise<Answer>,
): OneAnswer<Args, Answer> {
  return { kind: 'one', run: async (args, stop) => run(decodeMessage(shape, args, 'bad-request'), stop) };
}

export function many<Args, Item, Result>(
  shape: z.ZodType<Args>,
  run: (args: Args, stop: AbortSignal) => AsyncGenerator<Item, Result>,
): ManyAnswers<Args, Item, Result> {
  return {
    kind: 'many',
    run: async function* (args, stop) {
      return yield* run(decodeMessage(shape, args, 'bad-request'), stop);
    },
  };
}

/** One line each way (protocol R60). A request is one line; an answer is items and then exactly one of the others. */
export type LocalLine =
  | { readonly item: unknown }
  | { readonly result: unknown }
  | { readonly error: { readonly code: string; readonly message: string } };

export const REQUEST_BYTES_MAX = 1 << 20;
export const LINE_BYTES_MAX = 1 << 26;
