/**
 * Finds the number for a name that is taken, without counting.
 *
 * @module
 */

/** Asks whether numbers are taken, one after another, and ends with a free one. */
type Search = Generator<number, number, boolean>;

/**
 * Finds a number that is free, while the one below it is taken. It looks at about twice as many
 * numbers as the result has binary digits: at 32 where 60,000 are taken.
 *
 * Where numbers in between are free, the result is one of those or a higher one. It can be taken
 * before the caller uses it: only using it, by a link that replaces nothing, is a test.
 *
 * @param taken A number that is taken, at least 1.
 * @param isTaken Whether a higher number is taken. `false` for one that cannot be used at all.
 */
export function freeNumber(taken: number, isTaken: (number: number) => boolean): number {
  return result(searchBehind(taken), isTaken);
}

/** The same where it takes a wait to look at a number. */
export async function freeNumberLater(
  taken: number,
  isTaken: (number: number) => Promise<boolean>,
): Promise<number> {
  return await resultLater(searchBehind(taken), isTaken);
}

/** Most numbers that are looked at one by one. */
const MOST_COUNTED = 100;

/**
 * Finds the first number from 2 on that is free: the same one each time, whatever is made behind it.
 * Behind a hundred that are taken it is found as by {@linkcode freeNumber}, to bound the work.
 */
export function firstFreeNumber(isTaken: (number: number) => boolean): number {
  return result(count(), isTaken);
}

/** The same where it takes a wait to look at a number. */
export async function firstFreeNumberLater(
  isTaken: (number: number) => Promise<boolean>,
): Promise<number> {
  return await resultLater(count(), isTaken);
}

function* searchBehind(taken: number): Search {
  let low = taken;
  let high = taken + 1;
  for (let step = 2; yield high; step *= 2) {
    low = high;
    high = low + step;
  }
  while (high - low > 1) {
    const middle = low + Math.floor((high - low) / 2);
    if (yield middle) low = middle;
    else high = middle;
  }
  return high;
}

function* count(): Search {
  for (let number = 2; number <= MOST_COUNTED; number++) if (!(yield number)) return number;
  return yield* searchBehind(MOST_COUNTED);
}

function result(search: Search, isTaken: (number: number) => boolean): number {
  let step = search.next();
  while (!step.done) step = search.next(isTaken(step.value));
  return step.value;
}

async function resultLater(
  search: Search,
  isTaken: (number: number) => Promise<boolean>,
): Promise<number> {
  let step = search.next();
  while (!step.done) step = search.next(await isTaken(step.value));
  return step.value;
}
