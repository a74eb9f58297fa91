/**
 * The known word that a mistyped one was meant to be.
 *
 * @module
 */

import { levenshteinDistance } from "@std/text/levenshtein-distance";

/** Letters that a beginning of a word has at least: fewer begin too many words. */
const MIN_BEGINNING = 3;

/**
 * Finds the known word that is near to another one: one that begins with it, or one that differs by
 * at most a third of its letters. Two neighbours that changed places are one difference, and case is
 * none.
 *
 * @returns `undefined` if none is near: a wrong suggestion is worse than none.
 */
export function nearest<Word extends string>(
  word: string,
  known: readonly Word[],
): Word | undefined {
  const typed = word.toLowerCase();
  if (typed.length >= MIN_BEGINNING) {
    const begun = known.filter((other) => other.startsWith(typed));
    if (begun.length > 0) return begun.reduce((a, b) => b.length < a.length ? b : a);
  }
  const near = known
    .map((other) => ({ other, differences: differences(typed, other) }))
    .filter(({ other, differences }) => differences <= other.length / 3);
  return near.sort((a, b) => a.differences - b.differences)[0]?.other;
}

function differences(typed: string, known: string): number {
  // A longer word is near to nothing, and would take long.
  if (typed.length > 2 * known.length) return Infinity;
  return isSwapped(typed, known) ? 1 : levenshteinDistance(typed, known);
}

/** Whether two letters side by side have changed places, and nothing else. */
function isSwapped(typed: string, known: string): boolean {
  const at = [...known].findIndex((letter, index) => letter !== typed[index]);
  const swapped = known.slice(0, at) + known.charAt(at + 1) + known.charAt(at) +
    known.slice(at + 2);
  return at >= 0 && typed === swapped;
}
