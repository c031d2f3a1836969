import type { UnixMillis } from '../model/time.ts';

/** A stretch of time, start included, end not, start < end. Lists of them are sorted, disjoint and never touch. */
export interface Span {
  readonly start: UnixMillis;
  readonly end: UnixMillis;
}

/** Sorts, drops what is empty, joins what overlaps or touches. */
export function unite(spans: readonly Span[]): Span[] {
  const sorted = spans.filter(({ start, end }) => start < end).sort((a, b) => a.start - b.start);
  const result: Span[] = [];
  for (const span of sorted) {
    const last = result.at(-1);
    if (last === undefined || span.start > last.end) result.push(span);
    else if (span.end > last.end) result[result.length - 1] = { start: last.start, end: span.end };
  }
  return result;
}

/** The time in both. Both must be united. */
export function intersect(a: readonly Span[], b: readonly Span[]): Span[] {
  const result: Span[] = [];
  let [i, j] = [0, 0];
  for (let [left, right] = [a[0], b[0]]; left !== undefined && right !== undefined;) {
    const start = Math.max(left.start, right.start);
    const end = Math.min(left.end, right.end);
    if (start < end) result.push({ start, end });
    if (left.end <= right.end) left = a[++i];
    else right = b[++j];
  }
  return result;
}

/** The time of `from` that is not in `cut`. Both must be united. */
export function subtract(from: readonly Span[], cut: readonly Span[]): Span[] {
  const result: Span[] = [];
  let j = 0;
  for (const { start, end } of from) {
    let open = start;
    while (j > 0 && cut[j - 1]!.end > start) j--;
    for (; j < cut.length && cut[j]!.start < end; j++) {
      const { start: closes, end: reopens } = cut[j]!;
      if (reopens <= open) continue;
      if (closes > open) result.push({ start: open, end: closes });
      open = reopens;
    }
    if (open < end) result.push({ start: open, end });
  }
  return result;
}

/** What lies in [from, to). */
export function clip(spans: readonly Span[], from: UnixMillis, to: UnixMillis): Span[] {
  return from < to ? intersect(spans, [{ start: from, end: to }]) : [];
}

export function totalTime(spans: readonly Span[]): number {
  return spans.reduce((sum, { start, end }) => sum + (end - start), 0);
}
