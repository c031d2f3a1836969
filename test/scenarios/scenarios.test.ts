import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { Scenario } from '../../src/sim/scenario.ts';
import { formatScenario, parseScenario } from '../../src/sim/scenario-text.ts';

/** `REWRITE=1 npm test` writes what the scenarios print now; review it as a diff. */
const rewrite = process.env['REWRITE'] === '1';
const folder = new URL('.', import.meta.url);

for (const file of readdirSync(folder).filter((name) => name.endsWith('.txt'))) {
  test(`scenario ${file}`, async () => {
    const path = new URL(file, folder);
    const blocks = parseScenario(readFileSync(path, 'utf8'));
    const scenario = new Scenario();
    const printed = [];
    for (const block of blocks) {
      const expected = await scenario.runBlock(block);
      if (!rewrite) assert.deepEqual(expected, block.expected, block.commands.map(({ text }) => text).join('\n'));
      printed.push({ ...block, expected });
    }
    if (rewrite) writeFileSync(path, formatScenario(printed));
  });
}
