import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type ErrorCode, type ErrorRow, errorRegistry } from '../../src/model/errors.ts';
import { isTest, isTestSupport, read, sourceFiles, tableRows } from './repository.ts';

const REGISTRY = 'src/model/errors.ts';
const codes = Object.keys(errorRegistry) as ErrorCode[];
const rows = tableRows(read('docs/errors.md'));
const documented = rows.map(([code]) => code!.replaceAll('`', ''));

describe('docs/errors.md', () => {
  it('has every code of the registry once, in its order', () => {
    assert.deepEqual(documented, codes);
  });

  it('gives the exit code, the HTTP status and the repeatability of the registry', () => {
    for (const [cell, exit, status, again] of rows) {
      const row: ErrorRow = errorRegistry[cell!.replaceAll('`', '') as ErrorCode];
      const expected = [String(row.exit), String(row.status), row.retry ? 'yes' : 'no'];
      assert.deepEqual([exit, status, again], expected, cell!);
    }
  });

  it('says of each what it means and what to do', () => {
    for (const row of rows) {
      assert.equal(row.length, 6, row[0]!);
      assert.ok(row[4]!.length > 10 && row[5]!.length > 5, row[0]!);
    }
  });
});

describe('the registry', () => {
  it('has no code that nothing uses', () => {
    const users = sourceFiles().filter((path) => path !== REGISTRY && !isTest(path) && !isTestSupport(path));
    const text = users.map(read).join('\n');
    assert.deepEqual(
      codes.filter((code) => !text.includes(`'${code}'`)),
      [],
    );
  });
});
