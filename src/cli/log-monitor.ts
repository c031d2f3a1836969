import type { ClientIdentity } from '../identity/client-identity.ts';
import type { Event, EventKind, Problem, Progress } from '../model/events.ts';
import { shortId } from '../model/ids.ts';
import type { VerbMonitor } from './context.ts';
import type { Output } from './output.ts';
import { bytesText } from '../model/bytes-text.ts';
import { plural, secondText } from './text.ts';

/** A daemon's log: one line an event with time and zone on stdout, or one JSON object. Alarms go to stderr when quiet. */
export class LogMonitor implements VerbMonitor {
  /** Names of centers and clients by id, for people. */
  readonly names = new Map<string, string>();
  readonly #output: Output;
  readonly #zone: string;
  #progress: Progress | null = null;

  constructor(output: Output, zone: string) {
    this.#output = output;
    this.#zone = zone;
  }

  /** Of the work under way, if there is any. */
  get lastProgress(): Progress | null {
    return this.#progress;
  }

  event(event: Event): void {
    const at = Date.now();
    if (event.kind === 'enrolled') this.names.set(event.client, event.name);
    if (event.kind === 'taken' || event.kind === 'take-failed') this.#progress = null;
    this.#output.message({ message_type: 'event', at, ...event });
    if (event.kind === 'alarm' && this.#output.quiet) this.#output.warn(this.#line(at, event));
    else this.#output.line(this.#line(at, event));
  }

  problem(problem: Problem): void {
    const at = Date.now();
    this.#output.message({ message_type: 'problem', at, ...problem });
    const { severity, path, message, code } = problem;
    if (severity === 'error') this.#output.line(this.#text(at, 'problem', `${path}: ${message} (${code})`));
  }

  progress(progress: Progress): void {
    this.#progress = progress;
  }

  finish(): void {}

  #line(at: number, event: Event): string {
    return this.#text(
      at,
      event.kind,
      describe(event, (id) => this.names.get(id) ?? shortId(id)),
    );
  }

  #text(at: number, kind: string, text: string): string {
    return `${secondText(at, this.#zone)} ${this.#zone}  ${kind.padEnd(12)}  ${text}`.trimEnd();
  }
}

/** Who is above, by name, and where that leads. */
export function learnCenters({ names }: LogMonitor, { centers }: Pick<ClientIdentity, 'centers'>): void {
  for (const joined of centers) {
    for (const { id, name } of [joined.face, ...joined.centers]) names.set(id, name);
  }
}

type Names = (id: string) => string;
type Texts = { [K in EventKind]: (event: Extract<Event, { kind: K }>, nameOf: Names) => string };

const role = (event: { readonly role: string; readonly name: string }): string =>
  `${event.role} ${event.name}`;

const texts: Texts = {
  started: role,
  stopped: role,
  taken: takenText,
  'take-failed': ({ job, message, code }) => `${job}: ${message} (${code})`,
  offered: ({ snapshot, center, bytes }, nameOf) =>
    `${shortId(snapshot)} to ${nameOf(center)}, ${bytesText(bytes)}`,
  reception: ({ client, job, snapshot, bytes }, nameOf) =>
    `${nameOf(client)} offers ${job} ${shortId(snapshot)}, ${bytesText(bytes)}`,
  ordered: ({ client, snapshot }, nameOf) => `${nameOf(client)} to send ${shortId(snapshot)}`,
  sent: ({ snapshot, center, bytes }, nameOf) =>
    `${shortId(snapshot)} to ${nameOf(center)}, ${bytesText(bytes)}`,
  paused: ({ snapshot, bytes, code }) => `${shortId(snapshot)} after ${bytesText(bytes)} (${code})`,
  committed: ({ snapshot, client, bytes }, nameOf) =>
    `${shortId(snapshot)} of ${nameOf(client)}, ${bytesText(bytes)}`,
  receipted: ({ snapshot, center, receipt }, nameOf) =>
    `${shortId(snapshot)} by ${nameOf(center)}${receipt === 'custody' ? ', which has it in custody' : ''}`,
  freed: ({ snapshot, bytes }) =>
    `${bytesText(bytes)} of ${shortId(snapshot)}, which need not be here any more`,
  voided: ({ snapshot, code }) => `${shortId(snapshot)}: ${code}`,
  refused: ({ what, message, code }) => `${what}: ${message} (${code})`,
  waiting: ({ snapshot, client, code }, nameOf) => `${shortId(snapshot)} of ${nameOf(client)} (${code})`,
  holding: ({ name, text, code }) => `${name}: ${text} (${code})`,
  resumed: ({ name }) => name,
  changed: ({ key, before, after }) => `${key} from ${before ?? 'nothing'} to ${after ?? 'nothing'}`,
  connected: ({ center }, nameOf) => `to ${nameOf(center)}`,
  disconnected: ({ center, message, code }, nameOf) => `from ${nameOf(center)}: ${message} (${code})`,
  enrolled: ({ name, client }) => `${name} (${shortId(client)})`,
  left: ({ name, client }) => `${name} (${shortId(client)})`,
  restored: ({ files, bytes, problems }) =>
    `${plural(files, 'file')}, ${bytesText(bytes)}, ${plural(problems, 'problem')}`,
  alarm: ({ message, code }) => `${message} (${code})`,
};

/** What happened, as half a sentence: the kind of the event stands in front of it. */
export function describe(event: Event, nameOf: Names): string {
  const text = texts[event.kind] as (event: Event, nameOf: Names) => string;
  return text(event, nameOf);
}

function takenText(event: Event & { kind: 'taken' }): string {
  const { job, snapshot, files, bytes, spooled, partial, problems } = event;
  const whole = `${job} ${shortId(snapshot)}: ${plural(files, 'file')}, ${bytesText(bytes)}; ${bytesText(spooled)} spooled`;
  const notes = [
    ...(partial ? ['partial: the spool is full'] : []),
    ...(problems > 0 ? [`${plural(problems, 'entry', 'entries')} could not be read`] : []),
  ];
  return notes.length === 0 ? whole : `${whole} (${notes.join('; ')})`;
}
