import { displayBytes, displayPath, type PathKey, baseName, pathComponents } from '../model/paths.ts';

export type PathPredicate = (path: PathKey) => boolean;

type Step = { readonly kind: 'one'; readonly fits: (item: string) => boolean } | { readonly kind: 'any' };

const ANY: Step = { kind: 'any' };

/**
 * What `find` looks for, in paths as people see them (`displayPath`): without `*`, `?` or `[` every path that contains
 * the text; otherwise a shell pattern for the last name, or for the whole path if it has a slash (then `**` stands for
 * any number of directories). Letters count as they are. Takes time in proportion to pattern times path.
 */
export function pathPattern(pattern: string): PathPredicate {
  if (!/[*?[]/.test(pattern)) return (path) => displayPath(path).includes(pattern);
  if (!pattern.includes('/')) {
    const steps = stepsOf(pattern);
    return (path) => path !== '' && fits(steps, Array.from(displayBytes(baseName(path))));
  }
  const parts = pattern.split('/').filter((part) => part !== '');
  const steps = parts.map((part): Step => {
    if (part === '**') return ANY;
    const inner = stepsOf(part);
    return { kind: 'one', fits: (name) => fits(inner, Array.from(name)) };
  });
  return (path) => fits(steps, pathComponents(path).map(displayBytes));
}

/** Goes back to the last `any` only: what an earlier one took cannot help a later one. */
function fits(steps: readonly Step[], items: readonly string[]): boolean {
  let step = 0;
  let item = 0;
  let retryStep = -1;
  let retryItem = 0;
  while (item < items.length) {
    const next = steps[step];
    if (next?.kind === 'any') {
      retryStep = step++;
      retryItem = item;
    } else if (next?.kind === 'one' && next.fits(items[item]!)) {
      step++;
      item++;
    } else if (retryStep >= 0) {
      step = retryStep + 1;
      item = ++retryItem;
    } else return false;
  }
  return steps.slice(step).every(({ kind }) => kind === 'any');
}

function stepsOf(pattern: string): Step[] {
  const characters = Array.from(pattern);
  const steps: Step[] = [];
  for (let at = 0; at < characters.length; at++) {
    const character = characters[at]!;
    const end = character === '[' ? characters.indexOf(']', at + 2) : -1;
    if (character === '*') steps.push(ANY);
    else if (character === '?') steps.push({ kind: 'one', fits: () => true });
    else if (end !== -1) {
      steps.push({ kind: 'one', fits: setOf(characters.slice(at + 1, end)) });
      at = end;
    } else steps.push({ kind: 'one', fits: (item) => item === character });
  }
  return steps;
}

/** `[abc]`, `[a-z]`, `[!abc]`; a `]` may come first. */
function setOf(characters: readonly string[]): (item: string) => boolean {
  const negated = characters.length > 1 && '!^'.includes(characters[0]!);
  const members = negated ? characters.slice(1) : characters;
  const ranges: [low: number, high: number][] = [];
  for (let at = 0; at < members.length; at++) {
    const low = members[at]!.codePointAt(0)!;
    const isRange = members[at + 1] === '-' && at + 2 < members.length;
    ranges.push([low, isRange ? members[at + 2]!.codePointAt(0)! : low]);
    if (isRange) at += 2;
  }
  return (item) => {
    const point = item.codePointAt(0)!;
    return ranges.some(([low, high]) => low <= point && point <= high) !== negated;
  };
}
