import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join, matchesGlob } from 'node:path';
import { describe, it } from 'node:test';
import { newProgram } from '../../src/cli/program.ts';
import { isTest, ourFiles, read, ROOT, sourceFiles, tableRows } from './repository.ts';

/** What documents name must be there: prose drifts unless it is checked. */
const documents = ourFiles().filter((path) => path.endsWith('.md'));
const paths = ourFiles();

/** `src/room/file.ts`, `src/room/*.ts`, `test/folder/`, or `src/room/file.ts#name` for what it declares. */
const NAMED = /`((?:src|test|docs|scripts|bench|bin|examples)\/[\w./*-]*)(?:#(\w+))?`/g;
/** Pages with numbered rules, and how code and the titles of tests quote them: `format F8`, `'F8: ...`. */
const books = [
  { page: 'docs/format.md', quoted: /(?:\bformat |['"`])F\d+(?:(?:, | and |-)F\d+)*/g },
  { page: 'docs/protocol.md', quoted: /(?:\bprotocol |['"`])R\d+(?:(?:, | and |-)R\d+)*/g },
  { page: 'docs/scheduling.md', quoted: /(?:\bscheduling |['"`])S\d\d(?:(?:, | and |-)S\d\d)*/g },
];
const LINK = /\[[^\]]*\]\(([^)\s]+)\)/g;

/** As GitHub makes the anchor of a heading. */
function anchorsOf(markdown: string): Set<string> {
  const headings = markdown.matchAll(/^#{1,6} +(.+)$/gm);
  return new Set(
    [...headings].map(([, text]) =>
      text!
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}

function brokenLink(document: string, target: string): boolean {
  if (/^(?:https?|mailto):/.test(target)) return false;
  const [file, anchor] = target.split('#');
  const path = file === '' ? document : join(document, '..', file!);
  if (!existsSync(join(ROOT, path))) return true;
  return anchor !== undefined && !anchorsOf(read(path)).has(anchor);
}

function isThere(path: string): boolean {
  if (path.includes('*')) return paths.some((each) => matchesGlob(each, path));
  return existsSync(join(ROOT, path));
}

describe('documents', () => {
  it('link to what is there', () => {
    const broken = documents.flatMap((document) =>
      [...read(document).matchAll(LINK)]
        .filter(([, target]) => brokenLink(document, target!))
        .map(([link]) => `${document}: ${link}`),
    );
    assert.deepEqual(broken, []);
  });

  it('name files that exist, and names that these declare', () => {
    const wrong = documents
      .filter((document) => document !== 'CHANGELOG.md')
      .flatMap((document) =>
        [...read(document).matchAll(NAMED)]
          .filter(([, path, name]) => !isThere(path!) || !declares(path!, name))
          .map(([text]) => `${document}: ${text}`),
      );
    assert.deepEqual(wrong, []);
  });

  it('have the rules that code and tests quote by number', () => {
    for (const { page, quoted } of books) {
      const rules = new Set([...read(page).matchAll(/\*\*([A-Z]\d+)[.*]/g)].map(([, rule]) => rule!));
      const unknown = sourceFiles().flatMap((path) =>
        [...read(path).matchAll(quoted)]
          .flatMap(([text]) => text.match(/[A-Z]\d+/g)!)
          .filter((rule) => !rules.has(rule))
          .map((rule) => `${path}: ${rule}`),
      );
      assert.deepEqual(unknown, [], page);
    }
  });
});

const { commands } = await newProgram();
const verbs = new Map(commands.map((verb) => [verb.name(), verb.commands.map((sub) => sub.name())]));

describe('the command line', () => {
  it('has every verb that documents and messages name', () => {
    const messages = sourceFiles().filter((path) => !isTest(path) && !path.startsWith('src/sim/'));
    const texts = [...documents, ...messages];
    const unknown = texts.flatMap((path) =>
      [...read(path).matchAll(/(?<![\w./-])lowtide ([a-z]+)(?: ([a-z]+))?/g)]
        .filter(([, verb, sub]) => {
          const subs = verbs.get(verb!);
          return subs === undefined || (subs.length > 0 && sub !== undefined && !subs.includes(sub));
        })
        .map(([command]) => `${path}: ${command}`),
    );
    assert.deepEqual([...new Set(unknown)], []);
  });

  it('has its verbs in a document for users', () => {
    const text = documents.map(read).join('\n');
    assert.deepEqual(
      [...verbs.keys()].filter((verb) => !text.includes(`lowtide ${verb}`)),
      [],
    );
  });
});

describe('promises', () => {
  const sections = new Map(
    read('docs/promises.md')
      .split(/^## /m)
      .slice(1)
      .map((section) => [section.slice(0, 2), section]),
  );

  it('are the seven of the house plan', () => {
    assert.deepEqual([...sections.keys()], ['P1', 'P2', 'P3', 'P4', 'P5', 'P6', 'P7']);
  });

  it('name every test that says which promise it shows', () => {
    const missing = paths.filter(isTest).flatMap((path) => {
      const titles = [...read(path).matchAll(/\b(?:it|test|describe)\(\s*(['"`])(.*?)\1/g)];
      const shown = new Set(titles.flatMap(([, , title]) => title!.match(/\bP[1-7]\b/g) ?? []));
      return [...shown]
        .filter((promise) => !sections.get(promise)?.includes(path))
        .map((p) => `${p}: ${path}`);
    });
    assert.deepEqual(missing, []);
  });
});

/** A declaration, a member or a property of this name: that the file only uses it is not enough. */
function declares(path: string, name: string | undefined): boolean {
  if (name === undefined) return true;
  const words =
    '(?:export |async |static |readonly |abstract |get |function\\*? |class |const |interface |type )*';
  return new RegExp(`^\\s*${words}\\*?${name}[?]?(?:[(<:]| =| \\{| extends| implements)`, 'm').test(
    read(path),
  );
}

describe('docs/glossary.md', () => {
  it('gives every word once, in order within its table', () => {
    const sections = read('docs/glossary.md').split(/^## /m).slice(1);
    const tables = sections.slice(0, -1).map((section) => tableRows(section).map(([word]) => word!));
    for (const words of tables) {
      assert.deepEqual(
        words,
        [...words].sort((a, b) => a.localeCompare(b, 'en', { sensitivity: 'base' })),
      );
    }
    const all = tables.flat();
    assert.equal(new Set(all).size, all.length);
  });
});

describe('docs/decisions', () => {
  it('are numbered without a gap, by file name and title', () => {
    const decisions = paths.filter((path) => path.startsWith('docs/decisions/'));
    decisions.forEach((path, at) => {
      const number = String(at + 1).padStart(4, '0');
      assert.ok(path.startsWith(`docs/decisions/${number}-`), path);
      assert.ok(read(path).startsWith(`# ${number}. `), path);
    });
  });
});
