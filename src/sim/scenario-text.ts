/**
 * Scenario scripts: blocks of commands, a line of four dashes, and the output that they must give. One flag rewrites
 * the outputs (see test/scenarios/scenarios.test.ts), so a change of behaviour is reviewed as a diff.
 */
export interface ScenarioBlock {
  /** Comments and blank lines before the commands, kept when the script is rewritten. */
  readonly head: readonly string[];
  readonly commands: readonly Command[];
  readonly expected: readonly string[];
}

export interface Command {
  readonly text: string;
  readonly verb: string;
  readonly args: readonly string[];
  readonly options: Readonly<Record<string, string>>;
}

const DASHES = '----';

export function parseScenario(text: string): ScenarioBlock[] {
  const blocks: ScenarioBlock[] = [];
  let head: string[] = [];
  let commands: Command[] = [];
  let expected: string[] | null = null;
  const close = (): void => {
    if (expected === null) return;
    while (expected.at(-1) === '') expected.pop();
    blocks.push({ head, commands, expected });
    head = [];
    commands = [];
    expected = null;
  };
  for (const line of text.split('\n')) {
    if (expected !== null && line === '') close();
    else if (expected !== null) expected.push(line);
    else if (line === DASHES) expected = [];
    else if (commands.length === 0 && (line === '' || line.startsWith('#'))) head.push(line);
    else commands.push(parseCommand(line));
  }
  close();
  if (commands.length > 0) throw new TypeError(`a block without ${DASHES}: ${commands[0]!.text}`);
  return blocks;
}

export function formatScenario(blocks: readonly ScenarioBlock[]): string {
  return blocks
    .map(({ head, commands, expected }) =>
      [...head, ...commands.map(({ text }) => text), DASHES, ...expected].join('\n'),
    )
    .join('\n\n')
    .concat('\n');
}

/** `verb arg "an arg" key=value key="a value"`. */
function parseCommand(text: string): Command {
  const words = [...text.matchAll(/(?:[^\s"]|"[^"]*")+/g)].map(([word]) => word);
  const args: string[] = [];
  const options: Record<string, string> = {};
  for (const word of words.slice(1)) {
    const option = /^([a-z-]+)=(.*)$/s.exec(word);
    if (option === null) args.push(unquote(word));
    else options[option[1]!] = unquote(option[2]!);
  }
  return { text, verb: words[0]!, args, options };
}

const unquote = (word: string): string => word.replaceAll('"', '');
