/**
 * Actions of which only so many run at once. What waits for a server with a short timeout must not wait
 * behind hundreds of others: on a busy machine that takes longer than the timeout.
 *
 * @module
 */

/** How many conversations go on at the same time. */
const AT_ONCE = 10;

/** Runs an action for each of these, {@linkcode AT_ONCE} at a time, and gives the results in order. */
export async function inTurns<Item, Result>(
  items: Iterable<Item>,
  action: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  const left = [...items].entries();
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    for (const [index, item] of left) results[index] = await action(item);
  }));
  return results;
}
