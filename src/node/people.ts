import type { z } from 'zod';
import { LowtideError } from '../model/errors.ts';

/**
 * The people's API: each handler takes one plain object and answers one. The command line calls them in its own
 * process or over the local socket; both sides see the same functions.
 */
export function checked<Shape extends z.ZodType, Answer>(
  shape: Shape,
  work: (ask: z.output<Shape>) => Promise<Answer>,
): (ask: z.input<Shape>) => Promise<Answer> {
  return async (ask) => {
    const result = shape.safeParse(ask);
    if (result.success) return await work(result.data);
    const issue = result.error.issues[0]!;
    const where = issue.path.map(String).join('.');
    throw new LowtideError('bad-request', where === '' ? issue.message : `${where}: ${issue.message}`);
  };
}
