/**
 * Finds the word that somebody meant.
 *
 * @module
 */

/** Letters of the longest known word of which only one may be wrong. */
const SHORT = 5;

/**
 * The known word that differs from a typed one by a slip: a letter too many, missing, wrong, or
 * changed places with its neighbour. Words of more than {@linkcode SHORT} letters may have two.
 */
export function nearest<Word extends string>(
  typed: string,
  known: readonly Word[],
): Word | undefined {
  const near = known
    .map((word) => ({ word, slips: slipsBetween(typed, word) }))
    .filter(({ word, slips }) => slips <= (word.length > SHORT ? 2 : 1));
  return near.sort((one, other) => one.slips - other.slips)[0]?.word;
}

/** The distance of Damerau and Levenshtein, where no letter changes places twice. */
function slipsBetween(one: string, other: string): number {
  const rows: number[][] = [];
  const at = (row: number, column: number): number => rows[row]![column]!;
  for (let row = 0; row <= one.length; row++) {
    rows.push([row]);
    for (let column = 1; column <= other.length; column++) {
      if (row === 0) {
        rows[0]!.push(column);
        continue;
      }
      const wrong = one[row - 1] === other[column - 1] ? 0 : 1;
      const swapped = row > 1 && column > 1 && one[row - 1] === other[column - 2] &&
        one[row - 2] === other[column - 1];
      rows[row]!.push(Math.min(
        at(row - 1, column) + 1,
        at(row, column - 1) + 1,
        at(row - 1, column - 1) + wrong,
        swapped ? at(row - 2, column - 2) + 1 : Infinity,
      ));
    }
  }
  return at(one.length, other.length);
}
