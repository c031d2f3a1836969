import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import type { Command } from 'commander';
import { newProgram, programInShort } from '../../src/cli/program.ts';
import { leavesOf, pathOf } from '../support/verbs.ts';
import { lowtide } from './kit.ts';

describe('help', () => {
  let program: Command;
  let leaves: Command[];
  before(async () => {
    program = await newProgram();
    leaves = leavesOf(program);
  });

  it('the list of verbs says what the verbs say, and loads none of them', () => {
    assert.equal(programInShort().helpInformation(), program.helpInformation());
  });

  it('every verb of the design is there', () => {
    const paths = leaves.map(pathOf);
    const wanted = [
      'demo',
      'init',
      'backup',
      'snapshots',
      'ls',
      'find',
      'diff',
      'restore',
      'verify',
      'key list',
      'key add',
      'key remove',
      'doctor',
      'debug dump',
      'center init',
      'center run',
      'center token',
      'center client list',
      'center client revoke',
      'center plan',
      'center snapshots',
      'center ledger',
      ...['init', 'join', 'run', 'token', 'client list', 'client revoke', 'plan', 'status'].map(
        (verb) => `relay ${verb}`,
      ),
      ...['snapshots', 'ledger', 'leave', 'release'].map((verb) => `relay ${verb}`),
      'agent join',
      'agent run',
      'agent leave',
      'agent release',
      'job add',
      'job list',
      'job remove',
      'job run',
      'status',
      'spool list',
      'spool discard',
      'simulate',
    ];
    for (const path of wanted) assert.ok(paths.includes(path), path);
  });

  it('every verb explains itself: one line in the list, examples that are its own, what every verb takes', () => {
    for (const leaf of leaves) {
      const path = pathOf(leaf);
      assert.ok(leaf.summary().length > 0 && leaf.summary().length <= 100, path);
      const help = helpOf(leaf);
      assert.match(help, /^Usage: lowtide /, path);
      assert.match(help, new RegExp(`Examples:\n  lowtide ${path}`), path);
      assert.match(help, /--json/, path);
      assert.match(help, /-q, --quiet/, path);
      assert.ok(
        help.split('\n').every((line) => line.length <= 130),
        path,
      );
    }
  });

  it('comes on stdout with exit code 0, also for a group and for nothing at all', async () => {
    const verb = await lowtide(['backup', '--help']);
    assert.equal(verb.exit, 0);
    assert.match(verb.stdout, /^Usage: lowtide backup/);
    const group = await lowtide(['center', '--help']);
    assert.equal(group.exit, 0);
    assert.match(group.stdout, /client +The computers whose backups come/);
    const nothing = await lowtide([]);
    assert.equal(nothing.exit, 1);
    assert.match(nothing.stdout, /To see it work:\n +demo/);
    assert.match((await lowtide(['--version'])).stdout, /^\d+\.\d+\.\d+\n$/);
  });
});

/** With what `addHelpText` adds. */
function helpOf(command: Command): string {
  let help = '';
  command.configureOutput({ writeOut: (text) => (help += text) });
  command.outputHelp();
  return help;
}
