import { getCompileCacheDir } from 'node:module';
import { forgetUnusedCode } from './compiled-code.ts';

/** Verbs that do nothing but list: who reads no more of it wants no more of it (`lowtide ls latest | head`). */
const LISTS = ['ls', 'find', 'diff', 'snapshots'];

// What a verb does goes on whether or not somebody hears of it, and a daemon outlives its log.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  const hasGone = error.code === 'EPIPE';
  if (hasGone && LISTS.includes(process.argv[2] ?? '')) process.exit(0);
  if (!hasGone) process.once('exit', () => admit(error));
});
process.stderr.on('error', () => {});
// What runs commands of the user's must not hand it on.
delete process.env['NODE_COMPILE_CACHE'];
forgetUnusedCode(getCompileCacheDir(), Date.now());
const { runProgram } = await import('./program.ts');
await runProgram(process.argv.slice(2));

/** All was done, and not all of it was said: for a script that is a failure. */
function admit({ message }: Error): void {
  if ((process.exitCode ?? 0) !== 0) return;
  process.stderr.write(`lowtide: standard output cannot be written: ${message}\n`);
  process.exitCode = 1;
}
