import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

const PAGE = new URL('../../docs/json.md', import.meta.url);
const NAME = /^[a-z][a-z0-9]*(_[a-z0-9]+)*$/;
/** A name of a list in docs/json.md. */
const LISTED = /`([a-z_0-9]+)`/g;
const ENDINGS = /(^|_)(at|ms|seconds|bytes|byte_hours|share|blocks|files)$/;

let known: ReadonlySet<string> | null = null;

/** Of which docs/json.md says what is counted or measured. */
function knownNumbers(): ReadonlySet<string> {
  known ??= new Set(
    [...readFileSync(PAGE, 'utf8').matchAll(/^\| .*\|$/gm)].flatMap(([row]) =>
      [...row.matchAll(LISTED)].map(([, name]) => name!),
    ),
  );
  return known;
}

/** That a line of `--json` keeps to docs/json.md: names in snake_case, and no number whose unit nobody told. */
export function checkNames(message: Readonly<Record<string, unknown>>): void {
  const faults = faultsOf(message);
  assert.deepEqual(faults, [], `${JSON.stringify(message)} does not keep to docs/json.md`);
}

function faultsOf(value: unknown, name = ''): string[] {
  if (typeof value === 'number' && !ENDINGS.test(name) && !knownNumbers().has(name))
    return [`the number ${name}`];
  if (Array.isArray(value)) return value.flatMap((item) => faultsOf(item, name));
  if (typeof value !== 'object' || value === null || name === 'xattrs') return [];
  return Object.entries(value).flatMap(([inner, held]) => [
    ...(NAME.test(inner) ? [] : [`the name ${inner}`]),
    ...faultsOf(held, inner),
  ]);
}
