/** Levenshtein's: letters to put in, take out or change. */
export function editDistance(a: string, b: string): number {
  let above = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 0; i < a.length; i++) {
    const row = [i + 1];
    for (let j = 0; j < b.length; j++) {
      const change = above[j]! + (a[i] === b[j] ? 0 : 1);
      row.push(Math.min(change, above[j + 1]! + 1, row[j]! + 1));
    }
    above = row;
  }
  return above.at(-1)!;
}

/** The word that somebody who typed `text` most likely meant; null if none is anything like it. */
export function nearestOf(text: string, words: readonly string[]): string | null {
  let best: string | null = null;
  let least = Math.max(2, Math.floor(text.length / 2)) + 1;
  for (const word of words) {
    const distance = editDistance(text.toLowerCase(), word.toLowerCase());
    if (distance < least) [best, least] = [word, distance];
  }
  return best;
}
