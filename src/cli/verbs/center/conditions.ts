import type { Command } from 'commander';
import type { Reading } from '../../../collect/watches.ts';
import type { Context } from '../../context.ts';
import { withCollecting } from '../../reach.ts';
import { hangingLines, pairLines, timeText, WIDTH } from '../../text.ts';
import { action, newVerb } from '../../verb.ts';
import { warnOfMistakes } from '../agent/status.ts';
import { type NodeOptions, type NodeRole, withNodeData } from './options.ts';

/** Of a center and of a relay. */
export function conditionsVerb(role: NodeRole): Command {
  const verb = newVerb('conditions', {
    summary: `Show what suits this ${role}, what of that is measured, and what was changed`,
    about:
      `The settings in ${role}.yaml as they are in force: a running ${role} sees a change of the file within a minute. ` +
      'What is measured (free space, load, disk pressure, programs that say whether something else must not be disturbed) is ' +
      'measured every ten seconds while anything waits. Every change is kept with its time.',
    examples: [[`lowtide ${role} conditions`, 'the condition table, and the last 20 changes of it']],
  });
  return withNodeData(verb, role).action(
    action((context: Context, options: NodeOptions) => conditions(context, role, options)),
  );
}

async function conditions(context: Context, role: NodeRole, options: NodeOptions): Promise<void> {
  const { output } = context;
  const table = await withCollecting(context, role, options, ({ people }) => people.conditions({}));
  const { readings, changes, ...state } = table;
  output.message({ message_type: 'conditions', ...state });
  for (const reading of readings) output.message({ message_type: 'reading', ...reading });
  for (const change of changes) output.message({ message_type: 'change', ...change });
  const { name, written, running, zone, mistake } = table;
  warnOfMistakes(context, { mistakes: mistake === null ? [] : [mistake] });
  output.line(`${name}${running ? '' : ' (it is not running now)'}:`);
  for (const line of pairLines(Object.entries(written).flatMap(settingPairs))) output.line(`  ${line}`);
  if (readings.length > 0) output.line('\nMeasured last:');
  const measured = readings.map((reading): [string, string] => [reading.name, readingText(reading)]);
  for (const line of pairLines(measured)) output.line(`  ${line}`);
  if (changes.length > 0) output.line(`\nChanged (${zone}):`);
  for (const { at, key, before, after } of changes) {
    const text = `${timeText(at, zone)}  ${key}: ${changeText(before)} -> ${changeText(after)}`;
    for (const line of hangingLines(text, WIDTH, '  ')) output.line(line);
  }
}

/** What was measured, and what it keeps from happening. */
export function readingText({ text, holds, code }: Reading): string {
  if (!holds) return text;
  const what = code === 'load' || code === 'disk-pressure' ? 'STARTED' : 'COLLECTED';
  return `${text}: NOTHING IS ${what} (${code})`;
}

const changeText = (value: string | null): string => settingTexts(value ?? '').join('; ') || 'nothing';

/** A setting and, where it is a list, one line for each entry of it. */
function settingPairs([key, value]: readonly [string, string]): [string, string][] {
  const [first = '-', ...rest] = settingTexts(value).flatMap((text) => hangingLines(text, WIDTH - 16));
  return [[key, first], ...rest.map((text): [string, string] => ['', text])];
}

/** As people would say it, entry by entry; nothing for what is empty. */
export function settingTexts(value: string): string[] {
  if (value === '') return [];
  if (!value.startsWith('[')) return [value];
  return (JSON.parse(value) as unknown[]).map((entry) => {
    if (Array.isArray(entry)) return entry.join(' ');
    if (typeof entry !== 'object' || entry === null) return String(entry);
    return Object.entries(entry)
      .map(([key, part]) => `${key} ${Array.isArray(part) ? part.join(' ') : String(part)}`)
      .join(', ');
  });
}
