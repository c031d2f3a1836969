import type { CopyPhase, CopyState, Expected } from '../model/exchange.ts';
import { MINUTE_MS, type UnixMillis } from '../model/time.ts';
import type { ReasonCode } from '../schedule/plan.ts';
import { describeReason, reasonText } from '../schedule/reasons.ts';
import { clockText, hourText, placeText } from './turn-text.ts';
import { timeText } from './text.ts';

/** Codes that come from elsewhere than the planner, as sentences. */
const TEXTS: Readonly<Record<string, string>> = {
  'base-unknown': 'lacks what this snapshot builds on: the next backup sends everything again',
  'center-went-back': 'had it and lost it: the next backup sends everything again',
  'order-idle': 'the transfer stood still and is tried again',
  'center-unreachable': 'the connection broke off: it goes on when it is there again',
  'disk-full': "the center's disk is full: it goes on once there is room",
  'quota-full': "no room in the quota that the node above gives: 'client quota' there raises it",
  'streams-busy': 'waiting for a free stream',
  'declined-busy': 'who has it was asked, and is busy with others: it is asked again',
  'declined-not-here': 'who had it has lost something of it: it comes again from the machine below',
  'declined-not-owed': 'who has it was asked, and owes it there no more',
  voided: 'given up by its owner',
  released: 'not owed any more: its operator took the center off',
  'no-route':
    'no way leads there from a node on the way: let that one join what does, or this machine another',
  'custody-lost': 'lost by the relay that had it: it is sent again',
};

/** The same for who looks after a node: its computers may not owe that center anything, and then send it nothing by themselves. */
const BEHIND_AT_NODES =
  "lacks what this snapshot builds on: 'lowtide center pull' there brings it, or the first backup after its " +
  'computer has joined with a new token';

/** The same where a copy cannot come any more. */
const STUCK: Readonly<Record<string, string>> = {
  'damaged-receipt': 'a receipt came for it that does not count, which the log tells of: nothing was freed',
  revoked: 'a node on the way has shut out who would send it',
  'custody-lost':
    "lost by the relay that had it: 'lowtide snapshots --lost' lists the files, the next backup sends everything again",
};

/** What the planner above a relay says of what it holds; `the computer` is the relay. */
const HELD: Readonly<Record<string, string>> = {
  'client-window': 'waiting for the hours of the computer',
  'client-offline': 'the computer is offline',
};

/** How one copy of a snapshot stands, as half a sentence; `center` is its name, `asker` where that is read. */
export function copyText(
  copy: {
    readonly phase: CopyPhase;
    readonly code: string;
    readonly until: UnixMillis | null;
    readonly since?: UnixMillis;
    readonly holder?: string | null;
    readonly expected?: Expected | null;
    /** The node that it goes to next, as far as that is known. */
    readonly next?: string | null;
  },
  center: string,
  zone: string,
  now: UnixMillis,
  asker: 'agent' | 'node' = 'agent',
): string {
  const { phase, code } = copy;
  const when = expectationText(copy.expected ?? null, center, zone, now);
  if (phase === 'safe') return `safe at ${center}`;
  if (phase === 'void') return TEXTS[code] ?? 'given up by its owner';
  const next = copy.next ?? copy.expected?.by ?? null;
  if (phase === 'held') {
    const holder = copy.holder ?? 'a relay';
    const reason = heldText(copy, holder, next, center, zone, now);
    return `held by ${holder} only, on its way to ${center}${reason === '' ? '' : `: ${reason}`}${when}`;
  }
  const why = whyText(copy, (text) => atNode(text, next, center), zone, now);
  if (phase === 'in-transit') {
    const text = `travelling to ${center}`;
    return (why === '' ? text : `${text}${untilOnly(copy, zone, now)}`) + when;
  }
  if (phase === 'behind') return `${center} ${behindText(code, asker)}`;
  if (phase === 'stuck') return `stuck: ${STUCK[code] ?? TEXTS[code] ?? `${center} refuses it`} (${code})`;
  return why === '' ? `not offered to ${center} yet` : why + when;
}

function behindText(code: string, asker: 'agent' | 'node'): string {
  const text = TEXTS[code] ?? TEXTS['base-unknown']!;
  return asker === 'node' && text === TEXTS['base-unknown'] ? BEHIND_AT_NODES : text;
}

/** What was foreseen is told with its time once it is so old. */
const FRESH_MS = 10 * MINUTE_MS;

/** `, expected 00:12-00:31, third in line`; '' where nothing is. */
export function expectationText(
  expected: Expected | null,
  center: string,
  zone: string,
  now: UnixMillis,
): string {
  if (expected === null) return '';
  const { by, at, place, early, late } = expected;
  const from = Math.floor(early / MINUTE_MS) * MINUTE_MS;
  const to = Math.ceil(late / MINUTE_MS) * MINUTE_MS;
  const range =
    from <= now || from === to ? `by ${clockText(to, zone, now)}` : rangeText(from, to, zone, now);
  const where = by === center ? '' : ` at ${by}`;
  const told = now - at > FRESH_MS ? ` (told ${clockText(at, zone, now)})` : '';
  const turn = placeText(place);
  return `, expected${where} ${range}${turn === '' ? '' : `, ${turn}`}${told}`;
}

function rangeText(from: UnixMillis, to: UnixMillis, zone: string, now: UnixMillis): string {
  const sameDay = timeText(from, zone).slice(0, 10) === timeText(to, zone).slice(0, 10);
  const end = sameDay ? hourText(to, zone) : clockText(to, zone, now);
  return `${clockText(from, zone, now)}-${end}`;
}

/** What is said of one copy among others: with the name of its center, unless that is in it. */
export function saidOf(center: string, text: string): string {
  return text.split(/[ ,:;]/).includes(center) ? text : `${center}: ${text}`;
}

/** What the planner of a node says of itself, where that node is a relay on the way: it is not the center's doing. */
function atNode(text: string, next: string | null, center: string): string {
  return next === null || next === center ? text : text.replaceAll('the center', next);
}

/** What waits at a relay waits for the relay's hours and those of the node above it, not for those of the machine that asks. */
function heldText(
  copy: Pick<CopyState, 'code' | 'until'> & Partial<Pick<CopyState, 'since'>>,
  holder: string,
  next: string | null,
  center: string,
  zone: string,
  now: UnixMillis,
): string {
  if (copy.code === 'center-unreachable') {
    const from = copy.since === undefined ? '' : ` since ${clockText(copy.since, zone, now)} ${zone}`;
    return `out of reach${from}`;
  }
  const above = next ?? `the node above ${holder}`;
  const said = (text: string): string =>
    atNode(HELD[copy.code] ?? text, above, center)
      .replaceAll('the computer', holder)
      .replaceAll('your', `${holder}'s`);
  return whyText(copy, said, zone, now);
}

function whyText(
  { code, until }: { readonly code: string; readonly until: UnixMillis | null },
  said: (text: string) => string,
  zone: string,
  now: UnixMillis,
): string {
  const text = reasonText(code);
  if (text !== null) return describeReason({ code: code as ReasonCode, until, text: said(text) }, zone, now);
  return said(TEXTS[code] ?? code);
}

function untilOnly({ until }: { readonly until: UnixMillis | null }, zone: string, now: UnixMillis): string {
  if (until === null) return '';
  const said = describeReason({ code: 'running', until, text: '' }, zone, now);
  return ` (the windows are open${said.replace(/^,/, '')})`;
}
