/**
 * Does several things at once.
 *
 * @module
 */

/**
 * Does something with each item, with so many under way at once.
 *
 * @returns The results, in the order of the items.
 */
export async function mapAtOnce<T, R>(
  items: readonly T[],
  most: number,
  action: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  const entries = items.entries();
  const work = async (): Promise<void> => {
    // All of them take from one iterator.
    for (const [index, item] of entries) results[index] = await action(item);
  };
  await Promise.all(Array.from({ length: Math.min(most, items.length) }, work));
  return results;
}
