/** What a worker thread of realWork runs. */
import { parentPort, workerData } from 'node:worker_threads';
import { isLowtideError, LowtideError, type ErrorCode } from '../../model/errors.ts';
import { loadKernels } from './kernels.ts';
import { BEGUN, takeClaim, type Claim } from './claims.ts';
import { VERSION } from '../version.ts';

export interface Question {
  readonly id: number;
  readonly module: string;
  readonly name: string;
  readonly input: unknown;
  readonly claim: Claim;
}

export type Answer =
  | { readonly id: number; readonly output: unknown }
  | { readonly id: number; readonly error: { readonly code: ErrorCode | null; readonly error: unknown } };

const kernels = loadKernels();

async function answer({ id, module, name, input, claim }: Question): Promise<Answer> {
  try {
    requireSameVersion();
    const exports = (await import(module)) as Record<string, unknown>;
    const run = exports[name];
    if (typeof run !== 'function') throw new TypeError(`${module} exports no function ${name}`);
    if (!takeClaim(claim, BEGUN)) throw new LowtideError('interrupted', 'a task was given up');
    return { id, output: (await run(input, kernels)) as unknown };
  } catch (error) {
    return failed(id, error);
  }
}

/** A daemon outlives an update, and its threads begin when they are needed: two versions must not work at one backup. */
function requireSameVersion(): void {
  if (workerData === VERSION) return;
  const message = `Lowtide was updated to ${VERSION} while ${String(workerData)} was running: restart that`;
  throw new LowtideError('wrong-state', message);
}

const failed = (id: number, error: unknown): Answer => ({
  id,
  error: { code: isLowtideError(error) ? error.code : null, error },
});

function tell(found: Answer): void {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- threads have no origin
  parentPort?.postMessage(found);
}

parentPort?.on('message', (question: Question) => {
  void answer(question).then((found) => {
    try {
      tell(found);
    } catch (error) {
      tell(failed(question.id, error));
    }
  });
});
