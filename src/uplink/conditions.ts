import { z } from 'zod';
import type { Ledger } from '../ledger/ledger.ts';
import type { CenterId } from '../model/ids.ts';
import { parseWindows } from '../schedule/windows.ts';

/** When a center collects, as it said last: for people, and for checking new jobs while it cannot be reached. */
export interface KnownConditions {
  readonly windows: string;
  readonly zone: string;
}

const shape = z.object({ windows: z.string(), zone: z.string() });
const factOf = (center: CenterId): string => `conditions/${center}`;

/** @throws LowtideError `bad-schedule`, `bad-zone`: then what was known stays */
export async function rememberConditions(
  ledger: Ledger,
  center: CenterId,
  { windows, zone }: KnownConditions,
): Promise<void> {
  parseWindows(windows, zone);
  const value = JSON.stringify({ windows, zone });
  if ((await ledger.fact(factOf(center))) !== value) await ledger.setFact(factOf(center), value);
}

/** Null before the first welcome. */
export async function knownConditions(ledger: Ledger, center: CenterId): Promise<KnownConditions | null> {
  const value = await ledger.fact(factOf(center));
  return value === null ? null : shape.parse(JSON.parse(value));
}
