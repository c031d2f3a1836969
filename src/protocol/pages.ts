import type { Page } from '../model/exchange.ts';

/** A list that is as long as this is no list of a real fleet. */
const PAGES_MAX = 100_000;

/**
 * All rows of a list that a node gives page by page. One that gives the same page again and again keeps nobody for ever.
 * @param ask null if there is nobody to be asked (any more)
 */
export async function* rowsOf<Row>(
  ask: (after: string | null) => Promise<Page<Row> | null>,
): AsyncGenerator<Row> {
  let after: string | null = null;
  for (let count = 0; count < PAGES_MAX; count++) {
    const page: Page<Row> | null = await ask(after);
    if (page === null) return;
    yield* page.rows;
    if (page.next === null || page.next === after) return;
    after = page.next;
  }
}
