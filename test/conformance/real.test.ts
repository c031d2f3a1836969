import { execFile } from 'node:child_process';
import { mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mock } from 'node:test';
import { promisify } from 'node:util';
import { pathKeyOf, pathToBytes } from '../../src/model/paths.ts';
import { realClock } from '../../src/world/clock.ts';
import { realDatabases } from '../../src/world/sql/databases.ts';
import { realDisk } from '../../src/world/disk/disk.ts';
import { realFiles } from '../../src/world/source/files.ts';
import { inlineWork } from '../../src/world/threads/inline-work.ts';
import { realRandom } from '../../src/world/random.ts';
import { realWork } from '../../src/world/threads/work.ts';
import { clockConformance } from './clock.ts';
import { databasesConformance } from './databases.ts';
import { diskConformance } from './disk.ts';
import { filesConformance } from './files.ts';
import { LogMonitor } from '../../src/cli/log-monitor.ts';
import { Output } from '../../src/cli/output.ts';
import { TerminalMonitor } from '../../src/cli/terminal-monitor.ts';
import type { Monitor } from '../../src/world/ports.ts';
import { type MonitorUnderTest, monitorConformance } from './monitor.ts';
import { randomConformance } from './random.ts';
import { workConformance } from './work.ts';

const temporary = async (): Promise<{ directory: string; dispose: () => Promise<void> }> => {
  const directory = await mkdtemp(join(tmpdir(), 'lowtide-conformance-'));
  return { directory, dispose: () => rm(directory, { recursive: true, force: true }) };
};

/** What the command line's monitors write for scripts, caught where it would leave the process. */
function watched(make: (output: Output) => Monitor): MonitorUnderTest {
  const lines: string[] = [];
  const inner = make(new Output({ json: true, quiet: false }));
  const caught =
    <Value>(told: (value: Value) => void) =>
    (value: Value): void => {
      const stdout = mock.method(process.stdout, 'write', (text: string) => lines.push(text) > 0);
      try {
        told(value);
      } finally {
        stdout.mock.restore();
      }
    };
  return {
    monitor: {
      event: caught((event) => inner.event(event)),
      problem: caught((problem) => inner.problem(problem)),
      progress: caught((progress) => inner.progress(progress)),
    },
    told: () => lines.map((line) => JSON.parse(line) as object),
  };
}

clockConformance('the machine', realClock);
monitorConformance("a daemon's log", () => watched((output) => new LogMonitor(output, 'UTC')));
monitorConformance('the terminal', () => watched((output) => new TerminalMonitor(output)));
randomConformance('the machine', realRandom);
diskConformance('the machine', async () => ({ disk: realDisk(), ...(await temporary()) }));
databasesConformance('node:sqlite', async () => {
  const { directory, dispose } = await temporary();
  return { databases: realDatabases(), path: `${directory}/database`, dispose };
});
workConformance('inline', () => ({ work: inlineWork() }));
workConformance('threads', () => {
  const work = realWork(2);
  return { work, close: () => work.close() };
});

const isRoot = process.getuid?.() === 0;
filesConformance(
  'the machine',
  async () => {
    const { directory } = await temporary();
    return {
      files: realFiles(),
      root: pathKeyOf(directory),
      meddle: {
        rename: (from, to) => rename(pathToBytes(from), pathToBytes(to)),
        remove: (path) => rm(pathToBytes(path), { recursive: true }),
      },
      // Not by node, which cannot remove paths longer than the system takes at once.
      dispose: async () => void (await promisify(execFile)('rm', ['-rf', directory])),
    };
  },
  { owners: isRoot, devices: isRoot },
);
