import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { DAY_MS } from '../model/time.ts';
import { forgetUnusedCode } from './compiled-code.ts';

test('compiled code that no start has used for a month is removed, and what is used stays', async (t) => {
  const all = mkdtempSync(join(tmpdir(), 'lowtide-code-'));
  t.after(() => rmSync(all, { recursive: true }));
  const folder = (name: string, ageDays: number): string => {
    const path = join(all, name);
    mkdirSync(path);
    writeFileSync(join(path, 'some'), 'code');
    const at = (Date.now() - ageDays * DAY_MS) / 1000;
    utimesSync(path, at, at);
    return path;
  };
  const [used, unused, recent] = [folder('v2', 40), folder('v1', 40), folder('v1-other', 20)];
  const now = Date.now();
  forgetUnusedCode(used, now);
  while (existsSync(unused)) await setTimeout(1);
  assert.ok(existsSync(join(recent, 'some')));
  assert.ok(existsSync(join(used, 'some')));
  assert.equal(Math.round(statSync(used).mtimeMs), now);
});

test('a start without a folder for compiled code, or with one that is gone, is none the worse', () => {
  forgetUnusedCode(undefined, Date.now());
  forgetUnusedCode(join(tmpdir(), 'lowtide-code-that-is-gone', 'v1'), Date.now());
});
