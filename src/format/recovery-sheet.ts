import { bytesOfHex, hexOf } from '../model/bytes.ts';
import { LowtideError } from '../model/errors.ts';
import type { ClientId } from '../model/ids.ts';

/** What a person needs when the machine is gone: whose backups, the key, and how to know the right center (format F80). */
export interface RecoverySheet {
  readonly client: ClientId;
  /** 32 bytes: opens the keyring's `recovery` slot. */
  readonly secret: Uint8Array;
  /** SHA-256 of the center's CA key, 32 bytes; null for a depot alone. */
  readonly center: Uint8Array | null;
}

const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const LINE_BYTES = 8;
const CODED_BYTES = LINE_BYTES + 2;
const CODED_CHARACTERS = (CODED_BYTES * 8) / 5;
const LINES = { C: 2, K: 4, H: 4, D: 4 } as const;
type Part = keyof typeof LINES;

/**
 * The sheet as plain text of fewer than 80 columns.
 * @param facts what else helps people (name, address, date), shown and never parsed
 */
export function printRecoverySheet(
  sheet: RecoverySheet,
  facts: Readonly<Record<string, string>> = {},
): string {
  return [
    'LOWTIDE RECOVERY SHEET',
    '',
    ...factLines(facts),
    'Whoever has this page can read these backups. Print it, put it away, delete the file.',
    'To restore on a new machine, type all the lines below. Letters may be small; the',
    'hyphens do not matter; O counts as 0, I and L count as 1.',
    '',
    'Client',
    ...codeLines('C', bytesOfHex(sheet.client)),
    'Key',
    ...codeLines('K', sheet.secret),
    ...(sheet.center === null ? [] : ['Center', ...codeLines('H', sheet.center)]),
    '',
  ].join('\n');
}

/**
 * Reads the coded lines of a sheet, typed or pasted; everything else in the text is passed over.
 * @throws LowtideError `bad-recovery-sheet`, naming the lines that are mistyped or missing
 */
export function parseRecoverySheet(text: string): RecoverySheet {
  const withCenter = [...codedLines(text).keys()].some((name) => name.startsWith('H'));
  const valueOf = readParts(text, withCenter ? ['C', 'K', 'H'] : ['C', 'K']);
  return {
    client: hexOf(valueOf('C')) as ClientId,
    secret: valueOf('K'),
    center: withCenter ? valueOf('H') : null,
  };
}

/** The domain key of a machine, for others of the same owner (format F81), as text that can be typed. */
export function printDomainSheet(
  domainKey: Uint8Array,
  facts: Readonly<Record<string, string>> = {},
): string {
  return [
    'LOWTIDE DOMAIN KEY',
    '',
    ...factLines(facts),
    'Machines that join with these lines (lowtide agent join --keys-of FILE) share what they',
    'store, and whoever has the lines can read the backups of all of them: delete the file',
    'when the machines have joined.',
    '',
    ...codeLines('D', domainKey),
    '',
  ].join('\n');
}

/** @throws LowtideError `bad-recovery-sheet`, naming the lines that are mistyped or missing */
export function parseDomainSheet(text: string): Uint8Array {
  return readParts(text, ['D'])('D');
}

function factLines(facts: Readonly<Record<string, string>>): string[] {
  const shown = Object.entries(facts).map(([name, value]) => `${name}: ${plain(value)}`);
  return shown.length > 0 ? [...shown, ''] : [];
}

/** The coded lines of a text; everything else in it is passed over. */
function codedLines(text: string): Map<string, Uint8Array | null> {
  const lines = new Map<string, Uint8Array | null>();
  for (const line of text.split(/\r\n|\n|\r/)) {
    const match = /^\s*([CKHD])\s?([1-4])\s*[:.)]?\s+(\S.*)$/i.exec(line);
    if (match === null) continue;
    const name = match[1]!.toUpperCase() + match[2]!;
    lines.set(name, decodeLine(name, match[3]!));
  }
  return lines;
}

/** @throws LowtideError `bad-recovery-sheet` */
function readParts(text: string, parts: readonly Part[]): (part: Part) => Uint8Array {
  const lines = codedLines(text);
  const names = parts.flatMap(lineNames);
  const mistyped = names.filter((name) => lines.get(name) === null);
  if (mistyped.length > 0) throw bad(mistyped, 'mistyped');
  const missing = names.filter((name) => !lines.has(name));
  if (missing.length > 0) throw bad(missing, 'missing');
  return (part) => new Uint8Array(Buffer.concat(lineNames(part).map((name) => lines.get(name)!)));
}

const bad = (names: readonly string[], how: string): LowtideError =>
  new LowtideError(
    'bad-recovery-sheet',
    `${names.length === 1 ? 'line' : 'lines'} ${names.join(', ')} of the ${names[0]!.startsWith('D') ? 'domain key' : 'recovery sheet'} ${names.length === 1 ? 'is' : 'are'} ${how}`,
  );

const lineNames = (part: Part): string[] =>
  Array.from({ length: LINES[part] }, (_, at) => `${part}${at + 1}`);

/** One line of what people read: nothing in it can start a coded line or move the cursor. */
const plain = (text: string): string => text.replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, '?');

function codeLines(part: Part, bytes: Uint8Array): string[] {
  if (bytes.length !== LINES[part] * LINE_BYTES) {
    throw new TypeError(`part ${part} of a recovery sheet has ${LINES[part] * LINE_BYTES} bytes`);
  }
  return lineNames(part).map((name, at) => {
    const data = bytes.subarray(at * LINE_BYTES, (at + 1) * LINE_BYTES);
    const coded = Buffer.alloc(CODED_BYTES);
    coded.set(data);
    coded.writeUInt16BE(checksum(name, data), LINE_BYTES);
    return `  ${name}  ${encodeBase32(coded).replaceAll(/.{4}(?=.)/g, '$&-')}`;
  });
}

function decodeLine(name: string, typed: string): Uint8Array | null {
  const coded = decodeBase32(typed);
  if (coded === null) return null;
  const data = coded.subarray(0, LINE_BYTES);
  return coded.readUInt16BE(LINE_BYTES) === checksum(name, data) ? data : null;
}

/** Crockford's base 32, of whole groups of five bits. */
function encodeBase32(bytes: Buffer): string {
  let bits = BigInt('0x' + bytes.toString('hex'));
  let text = '';
  for (let at = 0; at < CODED_CHARACTERS; at++) {
    text = ALPHABET[Number(bits & 31n)]! + text;
    bits >>= 5n;
  }
  return text;
}

/** Null for a character that is none of the alphabet's, or another number of them. */
function decodeBase32(typed: string): Buffer | null {
  const confusable: Record<string, string> = { O: '0', I: '1', L: '1', U: 'V' };
  let bits = 0n;
  let characters = 0;
  for (const character of typed.toUpperCase().replaceAll(/[\s\-\u2010-\u2015]/g, '')) {
    const digit = ALPHABET.indexOf(confusable[character] ?? character);
    if (digit === -1 || ++characters > CODED_CHARACTERS) return null;
    bits = (bits << 5n) | BigInt(digit);
  }
  if (characters !== CODED_CHARACTERS) return null;
  return bytesOfHex(bits.toString(16).padStart(CODED_BYTES * 2, '0'));
}

/**
 * CRC-16 (polynomial 0x1021, start 0xFFFF) over the line's name and bytes: finds every single wrong character and every
 * exchange of two neighbours.
 */
function checksum(name: string, data: Uint8Array): number {
  let crc = 0xffff;
  for (const byte of Buffer.concat([Buffer.from(name, 'latin1'), data])) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? ((crc << 1) ^ 0x1021) & 0xffff : crc << 1;
  }
  return crc;
}
