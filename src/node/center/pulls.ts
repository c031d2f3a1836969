import { z } from 'zod';
import type { PullProblem, PullProgress } from '../../collect/pull/parts.ts';
import { Pull } from '../../collect/pull/pulling.ts';
import {
  type ClientIdentity,
  type JoinedCenter,
  loadClientIdentity,
} from '../../identity/client-identity.ts';
import { isLowtideError, LowtideError, messageOf } from '../../model/errors.ts';
import { hexOf } from '../../model/bytes.ts';
import { parseRate } from '../../schedule/rate-text.ts';
import { parseWindows } from '../../schedule/windows.ts';
import { type Connector, upstreamsOf } from '../agent/home.ts';
import { type CenterHome, centerPaths } from './home.ts';
import { checked } from '../people.ts';

/** What people may ask of a center's pulls: one at a time. */
export interface PullPeople {
  startPull(ask: PullAsk): Promise<{ readonly pull: string }>;
  pull(ask: { readonly pull: string }): Promise<PullState>;
  /** What has come stays, and a new pull goes on from there. */
  stopPull(ask: { readonly pull: string }): Promise<object>;
}

export type PullAsk = z.input<typeof pullAsk>;

/** `stopped` before it was through; `failed`: a source or the own disk gave up. */
export interface PullState {
  readonly state: 'running' | 'done' | 'stopped' | 'failed';
  readonly progress: PullProgress;
  readonly problems: readonly PullProblem[];
  /** Why it failed. */
  readonly code: string;
  readonly message: string;
}

const pullAsk = z.strictObject({
  /** Names or ids of nodes that were joined as a peer. */
  from: z.array(z.string()).min(1),
  clients: z.array(z.string()).default([]),
  letIn: z.boolean().default(false),
  rate: z.string().default('unlimited'),
  windows: z.string().default('any'),
  /** Of hours that name none. */
  zone: z.string(),
});
const one = z.strictObject({ pull: z.string() });

interface Running {
  readonly id: string;
  readonly pull: Pull;
  readonly stop: AbortController;
  readonly done: Promise<void>;
  state: PullState['state'];
  code: string;
  message: string;
}

/** The pulls of one center: the one that runs, and how the last one ended. */
export class Pulls {
  readonly people: PullPeople = {
    startPull: checked(pullAsk, async (ask) => await this.#start(ask)),
    pull: checked(one, async ({ pull }) => this.#stateOf(pull)),
    stopPull: checked(one, async ({ pull }) => {
      this.#find(pull).stop.abort();
      return {};
    }),
  };
  readonly #home: CenterHome;
  readonly #connector: Connector;
  readonly #software: string;
  #last: Running | null = null;

  constructor(home: CenterHome, connector: Connector, software: string) {
    this.#home = home;
    this.#connector = connector;
    this.#software = software;
  }

  /** Resolves when nothing is being pulled any more. */
  async end(): Promise<void> {
    this.#last?.stop.abort();
    await this.#last?.done;
  }

  async #start(ask: z.output<typeof pullAsk>): Promise<{ pull: string }> {
    if (this.#last?.state === 'running')
      throw new LowtideError('wrong-state', 'a pull is under way: wait for it, or stop it');
    const { world, collector } = this.#home.node;
    const identity = await loadPeer(this.#home);
    const wanted = ask.from.map((text) => joinedAs(identity, text));
    const ways = upstreamsOf({ ...identity, centers: wanted }, this.#connector);
    const puller = { client: identity.client, software: this.#software };
    const { clients, letIn, zone } = ask;
    const [rate, windows] = [parseRate(ask.rate, zone), parseWindows(ask.windows, zone)];
    const pull = new Pull(collector, puller, ways, { clients, letIn, rate, windows });
    const id = hexOf(world.random.bytes(8));
    const stop = new AbortController();
    const done = pull.run(stop.signal).then(
      (whole) => this.#ended(id, whole ? 'done' : 'stopped', null),
      (error: unknown) => this.#ended(id, 'failed', error),
    );
    this.#last = { id, pull, stop, done, state: 'running', code: '', message: '' };
    return { pull: id };
  }

  #ended(id: string, state: PullState['state'], error: unknown): void {
    const running = this.#find(id);
    running.state = running.stop.signal.aborted && state === 'failed' ? 'stopped' : state;
    if (error === null) return;
    running.code = isLowtideError(error) ? error.code : 'crashed';
    running.message = messageOf(error);
  }

  #stateOf(id: string): PullState {
    const { pull, state, code, message } = this.#find(id);
    return { state, progress: pull.progress, problems: pull.problems, code, message };
  }

  #find(id: string): Running {
    if (this.#last?.id === id) return this.#last;
    throw new LowtideError('not-found', 'there is no such pull');
  }
}

/** What this center is where it reads. */
async function loadPeer({ node, data }: CenterHome): Promise<ClientIdentity> {
  try {
    return await loadClientIdentity(node.world, centerPaths(data).identity);
  } catch (error) {
    if (!isLowtideError(error, 'not-a-node')) throw error;
    throw new LowtideError(
      'not-enrolled',
      "this center has joined no other as a peer: 'lowtide center token --peer' there makes a token for --from",
    );
  }
}

function joinedAs({ centers }: ClientIdentity, text: string): JoinedCenter {
  const found = centers.filter(({ face }) => face.id === text || face.name === text);
  if (found.length === 1) return found[0]!;
  const known = centers.map(({ face }) => face.name).join(', ') || 'none';
  throw new LowtideError(
    'not-enrolled',
    `${found.length === 0 ? 'nothing' : 'more than one node'} that was joined as a peer is called ${text} (known: ${known}); a token of it will do`,
  );
}
