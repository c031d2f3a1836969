import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isLowtideError } from '../model/errors.ts';
import { bytesText } from '../model/bytes-text.ts';
import {
  countText,
  durationText,
  foldingTable,
  hangingLines,
  hoursText,
  modeText,
  joinedLines,
  notedTable,
  pairLines,
  parseDuration,
  plural,
  secondText,
  tableLines,
  timeText,
} from './text.ts';

describe('numbers as people read them', () => {
  it('sizes count by 1024 and keep one digit', () => {
    const sizes = [0, 1, 1023, 1024, 1536, 12.3 * 2 ** 20, 2 ** 30, 3 * 2 ** 40, 2 ** 53];
    const texts = ['0 B', '1 B', '1023 B', '1.0 KiB', '1.5 KiB', '12.3 MiB', '1.0 GiB', '3.0 TiB', '8.0 PiB'];
    assert.deepEqual(sizes.map(bytesText), texts);
  });

  it('counts have thousands apart, and one of a thing is not several', () => {
    assert.equal(countText(1234567), '1,234,567');
    assert.deepEqual(
      [0, 1, 2, 1000].map((count) => plural(count, 'file')),
      ['0 files', '1 file', '2 files', '1,000 files'],
    );
    assert.equal(plural(2, 'entry', 'entries'), '2 entries');
  });

  it('durations never show 60 seconds or 60 minutes', () => {
    const times = [0, 449, 9949, 9950, 59_400, 59_900, 61_000, 3_599_400, 3_599_900, 7_500_000];
    const texts = [
      '0.0 s',
      '0.4 s',
      '9.9 s',
      '10 s',
      '59 s',
      '1 min 00 s',
      '1 min 01 s',
      '59 min 59 s',
      '1 h 00 min',
      '2 h 05 min',
    ];
    assert.deepEqual(times.map(durationText), texts);
  });

  it('time spans are read with a unit and not without', () => {
    assert.deepEqual(
      ['90s', '30 min', '1h', '2 d', '1.5h'].map(parseDuration),
      [90_000, 1_800_000, 3_600_000, 172_800_000, 5_400_000],
    );
    for (const text of ['', '5', 'h', '-1h', '1 week', '1h30']) {
      assert.throws(
        () => parseDuration(text),
        (error) => isLowtideError(error, 'bad-request'),
        text,
      );
    }
  });
});

describe('times', () => {
  it('are shown in the zone that is asked for, cut to the minute or second', () => {
    const at = Date.UTC(2026, 2, 2, 12, 59, 59, 999);
    assert.equal(timeText(at, 'UTC'), '2026-03-02 12:59');
    assert.equal(timeText(at, 'Asia/Tokyo'), '2026-03-02 21:59');
    assert.equal(secondText(at, 'UTC'), '2026-03-02 12:59:59');
  });
});

describe('modes', () => {
  it('are written as ls does, special bits included', () => {
    const cases = [
      ['file', 0o644, '-rw-r--r--'],
      ['directory', 0o1777, 'drwxrwxrwt'],
      ['file', 0o4755, '-rwsr-xr-x'],
      ['file', 0o6644, '-rwSr-Sr--'],
      ['directory', 0o1770, 'drwxrwx--T'],
      ['symlink', 0o777, 'lrwxrwxrwx'],
      ['fifo', 0, 'p---------'],
      ['socket', 0o700, 'srwx------'],
      ['block-device', 0o660, 'brw-rw----'],
      ['character-device', 0o620, 'crw--w----'],
    ] as const;
    for (const [type, mode, text] of cases) assert.equal(modeText({ type, mode }), text);
  });
});

describe('tables', () => {
  it('align columns and leave no blanks at the end', () => {
    const lines = tableLines(
      [{ title: 'Name' }, { title: 'Size', align: 'right' }, { title: 'Note' }],
      [
        ['a', '1 B', ''],
        ['longer', '12.0 KiB', 'x'],
      ],
    );
    assert.deepEqual(lines, ['Name        Size  Note', 'a            1 B', 'longer  12.0 KiB  x']);
  });

  it('count columns as a terminal does', () => {
    const [, wide, combined, plain] = tableLines(
      [{ title: 'N' }, { title: 'X' }],
      [
        ['東京', '1'],
        ['e\u0301', '2'],
        ['abcd', '3'],
      ],
    );
    assert.equal(wide, '東京  1');
    assert.equal(combined, 'e\u0301     2');
    assert.equal(plain, 'abcd  3');
  });

  it('pairs have their values in one column', () => {
    assert.deepEqual(
      pairLines([
        ['a', '1'],
        ['long', '2'],
        ['', 'more'],
      ]),
      ['a     1', 'long  2', '      more'],
    );
  });
});

it('a table whose rows have text below them keeps to the width, with the further lines further in', () => {
  const note =
    'osaka: held by shop only, on its way to osaka: waiting for the window of the center: opens 22:00 UTC';
  const lines = notedTable(
    [{ title: 'Snapshot' }, { title: 'Job' }],
    [{ cells: ['16ebec8358d8', 'docs'], notes: [note, 'tokyo: safe'] }],
    2,
  );
  assert.deepEqual(lines, [
    'Snapshot      Job',
    '16ebec8358d8  docs',
    '    osaka: held by shop only, on its way to osaka: waiting for the window of the center: opens',
    '      22:00 UTC',
    '    tokyo: safe',
  ]);
  for (const line of lines) assert.ok(line.length <= 98);
});

describe('a table with columns that may fold', () => {
  const asIs = (cell: string): string => cell;
  const columns = [
    { title: 'Snapshot' },
    { title: 'Size', align: 'right' },
    { title: 'State', below: asIs },
    { title: 'From', below: (cell: string) => (cell === '' ? '' : `from ${cell}`) },
    { title: 'Paths', below: asIs },
  ] as const;

  it('is one line a row where a terminal holds that', () => {
    assert.deepEqual(foldingTable(columns, [['16ebec8358d8', '1 B', 'here', '::1', '/home']]), [
      'Snapshot      Size  State  From  Paths',
      '16ebec8358d8   1 B  here   ::1   /home',
    ]);
  });

  it('has them below each row where it does not, and nothing in place of what is empty', () => {
    const paths = Array.from({ length: 9 }, (_, at) => `/home/documents/${at}`).join(' ');
    const lines = foldingTable(columns, [
      ['16ebec8358d8', '1 B', 'here', '', paths],
      ['580b43a6529a', '12.0 KiB', 'waiting for a free stream', '127.0.0.1', '/home'],
    ]);
    assert.deepEqual(lines, [
      'Snapshot          Size',
      '16ebec8358d8       1 B',
      '    here',
      '    /home/documents/0 /home/documents/1 /home/documents/2 /home/documents/3 /home/documents/4',
      '    /home/documents/5 /home/documents/6 /home/documents/7 /home/documents/8',
      '580b43a6529a  12.0 KiB',
      '    waiting for a free stream; from 127.0.0.1; /home',
    ]);
    for (const line of lines) assert.ok(line.length <= 100, line);
    const words = Array.from({ length: 60 }, (_, at) => `word${at % 7}`.slice(0, 4 + (at % 3))).join(' ');
    const [, , ...notes] = foldingTable(columns, [['16ebec8358d8', '1 B', words, '', '/home']]);
    assert.equal(notes.join(' ').replaceAll(/\s+/g, ' ').trim(), `${words} /home`.trim());
    const widths = notes.slice(0, -2).map((line) => line.length);
    assert.ok(widths.length >= 2 && widths.every((width) => width > 85), notes.join('\n'));
  });
});

it('a text that is longer than its place goes on a little further in', () => {
  assert.deepEqual(hangingLines('held by shop: opens 22:00', 18), ['held by shop:', '  opens 22:00']);
  assert.deepEqual(hangingLines('short', 18, '    '), ['    short']);
});

it('hours name their zone, unless any will do', () => {
  assert.deepEqual(
    ['any', '22:00-06:00'].map((windows) => hoursText(windows, 'UTC')),
    ['at any time', '22:00-06:00 (UTC)'],
  );
});

it('parts of a statement stand on one line as far as that holds them', () => {
  assert.deepEqual(joinedLines(['connected', 'collects any', 'at 127.0.0.1:1'], 30), [
    'connected; collects any',
    'at 127.0.0.1:1',
  ]);
  assert.deepEqual(joinedLines(['a part that is longer than a line'], 20), [
    'a part that is',
    'longer than a line',
  ]);
});
