import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The repository as its own tests see it. Paths are relative to its root, with slashes. */
export const ROOT = join(import.meta.dirname, '../..');

/** Directories that may hold what nobody wrote or nobody keeps. */
const NOT_OURS = new Set(['node_modules', '.git', 'coverage', 'results', 'dist']);
/** A log, a profile or a core dump in the root is not ours either: only these kinds of file are. */
const OUR_FILES = /\.(?:ts|md|json|txt|ya?ml|html|css)$|^[A-Z]+$|^\.gitignore$|^(?:bin|\.ci)\//;
/** Made by tools, or kept byte for byte. */
const NOT_WRITTEN = /^package-lock\.json$|^test\/(?:golden|fixtures)\//;

/** Everything that people wrote, sorted. */
export function ourFiles(): string[] {
  return [...walk('')].filter((path) => OUR_FILES.test(path) && !NOT_WRITTEN.test(path)).sort();
}

export function sourceFiles(): string[] {
  return ourFiles().filter((path) => path.startsWith('src/') && path.endsWith('.ts'));
}

export function isTest(path: string): boolean {
  return path.endsWith('.test.ts');
}

/** Helps tests and is no part of the product. */
export function isTestSupport(path: string): boolean {
  return path.startsWith('test/') || /\/test-[^/]*\.ts$/.test(path);
}

export function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

/** The lines of a table of a Markdown page, as cells without outer white space; the head and the rule are left out. */
export function tableRows(markdown: string): string[][] {
  const rows: string[][] = [];
  let inTable = false;
  for (const line of markdown.split('\n')) {
    if (!line.startsWith('|')) inTable = false;
    else if (/^\|[\s|:-]+\|$/.test(line)) inTable = true;
    else if (inTable)
      rows.push(
        line
          .slice(1, -1)
          .split('|')
          .map((cell) => cell.trim()),
      );
  }
  return rows;
}

function* walk(directory: string): Generator<string> {
  for (const entry of readdirSync(join(ROOT, directory), { withFileTypes: true })) {
    const path = directory === '' ? entry.name : `${directory}/${entry.name}`;
    if (entry.isDirectory() && !NOT_OURS.has(entry.name)) yield* walk(path);
    else if (entry.isFile()) yield path;
  }
}
