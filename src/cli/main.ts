import { statSync } from 'node:fs';
import { enableCompileCache, getCompileCacheDir } from 'node:module';
import { homedir } from 'node:os';
import { join } from 'node:path';

// A reader that has seen enough (`lowtide ls latest | head`) is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});
keepCompiledCode();
const { runProgram } = await import('./program.ts');
await runProgram(process.argv.slice(2));

/**
 * Halves what a start costs. Only in a home of the user's own: with the home of somebody else (as `sudo` may leave it),
 * code of that somebody would run.
 */
function keepCompiledCode(): void {
  try {
    // What runs commands of the user's must not hand it on.
    delete process.env['NODE_COMPILE_CACHE'];
    if (getCompileCacheDir() !== undefined) return;
    const home = homedir();
    if (statSync(home).uid !== process.getuid?.()) return;
    enableCompileCache(join(home, '.cache', 'lowtide', 'code'));
  } catch {
    // Without a home every start compiles anew.
  }
}
