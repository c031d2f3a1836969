import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { hexOf } from '../model/bytes.ts';
import { isLowtideError } from '../model/errors.ts';
import type { ClientId } from '../model/ids.ts';
import {
  parseDomainSheet,
  parseRecoverySheet,
  printDomainSheet,
  printRecoverySheet,
  type RecoverySheet,
} from './recovery-sheet.ts';

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const sheets: fc.Arbitrary<RecoverySheet> = fc
  .tuple(bytes(16), bytes(32), fc.option(bytes(32)))
  .map(([client, secret, center]) => ({ client: hexOf(client) as ClientId, secret, center }));
const example: RecoverySheet = {
  client: '00112233445566778899aabbccddeeff' as ClientId,
  secret: Uint8Array.from({ length: 32 }, (_, at) => at * 7),
  center: Uint8Array.from({ length: 32 }, (_, at) => 255 - at),
};
const LINE = /^ {2}([CKH]\d) {2}([0-9A-Z-]{19})$/;

const refused = (part: RegExp) => (error: unknown) => {
  assert.ok(isLowtideError(error, 'bad-recovery-sheet'), String(error));
  assert.match(error.message, part);
  return true;
};

describe('recovery sheet (format F80)', () => {
  it('F80: what is printed reads back, whatever facts stand on it', () => {
    const facts = fc.dictionary(fc.constantFrom('Name', 'Made', 'Center'), fc.string({ unit: 'binary' }));
    fc.assert(
      fc.property(sheets, facts, (sheet, facts) => {
        const text = printRecoverySheet(sheet, facts);
        assert.deepEqual(parseRecoverySheet(text), sheet);
      }),
    );
  });

  it('F80: small letters, other separators and confusable letters are read as what they look like', () => {
    const text = printRecoverySheet(example)
      .toLowerCase()
      .split('\n')
      .map((line) => (/^ {2}[ckh]\d/.test(line) ? line.slice(0, 6) + sloppy(line.slice(6)) : line));
    assert.deepEqual(parseRecoverySheet(text.join('\r\n')), example);
  });

  it('F80: every single wrong character and every exchange of neighbours is found, in its line', () => {
    const lines = printRecoverySheet(example).split('\n');
    let tried = 0;
    for (const [at, line] of lines.entries()) {
      const match = LINE.exec(line);
      if (match === null) continue;
      const [, name, code] = match as unknown as [string, string, string];
      for (const wrong of mistakes(code)) {
        const typed = lines.with(at, `${name} ${wrong}`).join('\n');
        assert.throws(() => parseRecoverySheet(typed), refused(new RegExp(`^line ${name} .* is mistyped`)));
        tried++;
      }
    }
    assert.ok(tried > 5000);
  });

  it('F80: exchanged lines, lost lines, lost and added characters are named', () => {
    const lines = printRecoverySheet(example).split('\n');
    const at = lines.findIndex((line) => line.startsWith('  K2'));
    const swapped = lines
      .with(at, lines[at]!.replace('K2', 'K3'))
      .with(at + 1, lines[at + 1]!.replace('K3', 'K2'));
    assert.throws(() => parseRecoverySheet(swapped.join('\n')), refused(/lines K2, K3 .* are mistyped/));
    assert.throws(
      () => parseRecoverySheet(lines.toSpliced(at, 2).join('\n')),
      refused(/lines K2, K3 .* missing/),
    );
    assert.throws(() => parseRecoverySheet(lines.with(at, lines[at] + '0').join('\n')), refused(/line K2/));
    const short = lines.with(at, lines[at]!.slice(0, -1)).join('\n');
    assert.throws(() => parseRecoverySheet(short), refused(/line K2/));
    assert.throws(() => parseRecoverySheet(''), refused(/C1, C2, K1, K2, K3, K4 .* missing/));
  });

  it('any text is either a sheet or refused', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        assert.throws(() => parseRecoverySheet(text), refused(/./));
      }),
    );
  });
});

const sloppy = (code: string): string =>
  code.replaceAll('-', ' ').replaceAll('0', 'o').replace('1', 'l').replaceAll('1', 'I').replace('v', 'u');

function* mistakes(code: string): Generator<string> {
  for (let at = 0; at < code.length; at++) {
    if (code[at] === '-') continue;
    for (const other of '0123456789ABCDEFGHJKMNPQRSTVWXYZ') {
      if (other !== code[at]) yield code.slice(0, at) + other + code.slice(at + 1);
    }
    const next = code[at + 1] === '-' ? at + 2 : at + 1;
    if (next >= code.length || code[next] === code[at]) continue;
    const swapped = code.split('');
    [swapped[at], swapped[next]] = [swapped[next]!, swapped[at]!];
    yield swapped.join('');
  }
}

describe('the domain sheet', () => {
  const domainKey = new Uint8Array(32).map((_, at) => 7 * at + 1);
  const text = printDomainSheet(domainKey, { Made: '2026-03-02' });

  it('gives back the key, whatever else stands in the text', () => {
    assert.deepEqual(
      Buffer.from(parseDomainSheet(`mail of Monday\r\n${text}\r\nK1 nonsense`)),
      Buffer.from(domainKey),
    );
    assert.deepEqual(Buffer.from(parseDomainSheet(text.toLowerCase())), Buffer.from(domainKey));
  });

  it('says which lines are mistyped or missing, and is no recovery sheet', () => {
    const lines = text.split('\n');
    const without = lines.filter((line) => !/^ {2}D3 /.test(line)).join('\n');
    assert.throws(() => parseDomainSheet(without), { message: 'line D3 of the domain key is missing' });
    const typed = text.replace(
      /^( {2}D2 {2}.)(.)/m,
      (_all, head: string, one: string) => head + (one === '0' ? '1' : '0'),
    );
    assert.throws(() => parseDomainSheet(typed), { message: 'line D2 of the domain key is mistyped' });
    assert.throws(() => parseRecoverySheet(text), { code: 'bad-recovery-sheet' });
  });
});
