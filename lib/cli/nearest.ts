/**
 * The known word that a mistyped one was meant to be.
 *
 * @module
 */

/**
 * Finds the known word that is near to another one: one that begins with it, or one that differs by
 * at most a third of its letters. Two letters that changed places are one difference, and case is
 * none.
 *
 * @returns `undefined` if none is near: a wrong suggestion is worse than none.
 */
export function nearest(word: string, known: readonly string[]): string | undefined {
  const typed = word.toLowerCase();
  const beginning = known.filter((other) => typed.length > 1 && other.startsWith(typed));
  if (beginning.length > 0) return beginning.reduce((a, b) => b.length < a.length ? b : a);
  let best: string | undefined;
  let fewest = Infinity;
  for (const other of known) {
    const differences = distance(typed, other.toLowerCase());
    if (differences > other.length / 3 || differences >= fewest) continue;
    [best, fewest] = [other, differences];
  }
  return best;
}

/** Letters to add, remove, replace or swap with the next, to make one word of the other. */
function distance(one: string, other: string): number {
  // A longer word is near to nothing, and would take long.
  if (Math.abs(one.length - other.length) > other.length) return Infinity;
  let beforeLast: number[] = [];
  let last = Array.from({ length: other.length + 1 }, (_, index) => index);
  for (let i = 1; i <= one.length; i++) {
    const row = [i];
    for (let j = 1; j <= other.length; j++) {
      const isSame = one[i - 1] === other[j - 1];
      const isSwapped = one[i - 1] === other[j - 2] && one[i - 2] === other[j - 1];
      row[j] = Math.min(row[j - 1]! + 1, last[j]! + 1, last[j - 1]! + (isSame ? 0 : 1));
      if (i > 1 && j > 1 && isSwapped) row[j] = Math.min(row[j]!, beforeLast[j - 2]! + 1);
    }
    [beforeLast, last] = [last, row];
  }
  return last[other.length]!;
}
