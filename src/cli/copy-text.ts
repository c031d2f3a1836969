import type { CopyPhase } from '../model/exchange.ts';
import type { UnixMillis } from '../model/time.ts';
import type { ReasonCode } from '../schedule/plan.ts';
import { describeReason, reasonText } from '../schedule/reasons.ts';

/** Codes that come from elsewhere than the planner, as sentences. */
const TEXTS: Readonly<Record<string, string>> = {
  'base-unknown': 'lacks what this snapshot builds on: the next backup sends everything again',
  'center-went-back': 'had it and lost it: the next backup sends everything again',
  'order-idle': 'the transfer stood still and is tried again',
  'disk-full': 'its disk is full',
  'streams-busy': 'waiting for a free stream',
  voided: 'given up by its owner',
};

/** How one copy of a snapshot stands, as half a sentence; `center` is its name. */
export function copyText(
  copy: { readonly phase: CopyPhase; readonly code: string; readonly until: UnixMillis | null },
  center: string,
  zone: string,
  now: UnixMillis,
): string {
  const { phase, code } = copy;
  if (phase === 'safe') return `safe at ${center}`;
  if (phase === 'void') return 'given up by its owner';
  if (phase === 'held') return `held by a relay only, on its way to ${center}`;
  const why = whyText(copy, zone, now);
  if (phase === 'in-transit')
    return why === '' ? `travelling to ${center}` : `travelling to ${center}${untilOnly(copy, zone, now)}`;
  if (phase === 'behind') return `${center} ${TEXTS[code] ?? TEXTS['base-unknown']}`;
  if (phase === 'stuck') return `stuck: ${center} refuses it (${code})`;
  return why === '' ? `not offered to ${center} yet` : why;
}

function whyText(
  { code, until }: { readonly code: string; readonly until: UnixMillis | null },
  zone: string,
  now: UnixMillis,
): string {
  const text = reasonText(code);
  if (text !== null) return describeReason({ code: code as ReasonCode, until, text }, zone, now);
  return TEXTS[code] ?? code;
}

function untilOnly({ until }: { readonly until: UnixMillis | null }, zone: string, now: UnixMillis): string {
  if (until === null) return '';
  const said = describeReason({ code: 'running', until, text: '' }, zone, now);
  return ` (the windows are open${said.replace(/^,/, '')})`;
}
