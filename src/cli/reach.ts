import { readFileSync } from 'node:fs';
import { connectLocal } from '../http/local-client.ts';
import type { Verbs } from '../http/local-verbs.ts';
import type { OverviewPeople } from '../node/center/overview.ts';
import type { AgentPeople } from '../node/agent/people.ts';
import type { CenterPeople } from '../node/center/people.ts';
import type { RelayPeople } from '../node/relay/people.ts';
import type { PullPeople } from '../node/center/pulls.ts';
import { socketIn } from '../node/socket-path.ts';
import { type CommonOptions, type Context, dataFolder, type Role } from './context.ts';
import type * as Opening from './opening.ts';
import { whenFree } from './when-free.ts';

export interface DataOptions extends CommonOptions {
  readonly data?: string;
}

/** A node's people's API, and who answers: the daemon, or this very process with the data folder open. */
export interface Reached<People> {
  readonly people: People;
  readonly running: boolean;
  /** Only where this process has the agent open: sends what is spooled, until the signal. */
  readonly deliver?: (stop: AbortSignal) => Promise<void>;
}

/** Asks the running agent, or opens its data folder when none runs. */
export async function withAgent<T>(
  context: Context,
  options: DataOptions,
  work: (reached: Reached<AgentPeople>) => Promise<T>,
): Promise<T> {
  return await reach('agent', context, options, work, ({ openedAgent }) => openedAgent<T>);
}

/** Asks the running relay, or opens its data folder when none runs. */
export async function withRelay<T>(
  context: Context,
  options: DataOptions,
  work: (reached: Reached<RelayPeople>) => Promise<T>,
): Promise<T> {
  return await reach('relay', context, options, work, ({ openedRelay }) => openedRelay<T>);
}

/** What people may ask of a center and of a relay alike. */
export async function withCollecting<T>(
  context: Context,
  role: 'center' | 'relay',
  options: DataOptions,
  work: (reached: Reached<CenterPeople>) => Promise<T>,
): Promise<T> {
  return role === 'center'
    ? await withCenter(context, options, work)
    : await withRelay(context, options, work);
}

/** What a center alone can do beside what a relay can. */
export type CenterReached = Reached<CenterPeople & PullPeople & OverviewPeople>;

/** Asks the running center, or opens its data folder when none runs. */
export async function withCenter<T>(
  context: Context,
  options: DataOptions,
  work: (reached: CenterReached) => Promise<T>,
): Promise<T> {
  return await reach('center', context, options, work, ({ openedCenter }) => openedCenter<T>);
}

type Work<People, T> = (reached: Reached<People>) => Promise<T>;

async function reach<People extends object, T>(
  role: Role,
  context: Context,
  options: DataOptions,
  work: Work<People, T>,
  opener: (here: typeof Opening) => (context: Context, data: string, work: Work<People, T>) => Promise<T>,
): Promise<T> {
  const data = dataFolder(role, options.data);
  let began = false;
  const begin: Work<People, T> = async (reached) => {
    began = true;
    return await work(reached);
  };
  const attempt = async (): Promise<T> => {
    const remote = await remotePeople<People>(data, context);
    if (remote !== null) return await begin({ people: remote, running: true });
    return await opener(await import('./opening.ts'))(context, data, begin);
  };
  return await whenFree(context, attempt, async () => began);
}

/** As the lock of its depot says. */
function whoRuns(data: string): string {
  for (const depot of ['spool', 'store']) {
    try {
      const { pid } = JSON.parse(readFileSync(`${data}/${depot}/lock`, 'utf8')) as { pid?: unknown };
      if (typeof pid === 'number') return `process ${pid}`;
    } catch {
      // Only for people.
    }
  }
  return 'the running node';
}

type Handler = (ask: never) => Promise<unknown>;

/** The same interface with every call going over the socket; null if nobody answers there. */
async function remotePeople<People extends object>(
  data: string,
  { output, stop }: Context,
): Promise<People | null> {
  const socket = socketIn(data);
  const client = await connectLocal<Verbs>(socket, () =>
    output.warn(`waiting for an answer of ${whoRuns(data)} on ${socket}`),
  );
  if (client === null) return null;
  const handlerFor = (_target: object, verb: string | symbol) =>
    // A proxy that had a `then` would be taken for a promise.
    verb === 'then' ? undefined : (ask: object) => client.ask(verb as never, ask, stop);
  return new Proxy<object>({}, { get: handlerFor }) as People;
}

/** Handlers as the local socket serves them. Each checks its own arguments. */
export function verbsOf(people: object): Verbs {
  const handlers = Object.entries(people) as [string, Handler][];
  return Object.fromEntries(
    handlers.map(([name, handler]) => [
      name,
      { kind: 'one', run: (args: unknown) => handler(args as never) },
    ]),
  );
}
