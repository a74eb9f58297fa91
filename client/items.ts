/**
 * What a person names to be sent, as the items that it comes to.
 *
 * @module
 */

import { type Item, sourceAt } from "../lib/sources.ts";
import type { TreeOptions } from "../lib/tree.ts";

/**
 * What is to be sent of what is at a path: a file, or a folder with all that is in it.
 *
 * @throws {InletError} `usage` if there is nothing that can be sent
 */
export async function pathItems(path: string, options: TreeOptions): Promise<Item[]> {
  const source = sourceAt(path, options.as);
  if (source !== "folder") return [source];
  // Loaded here because most of what is sent is a file.
  const { treeItems } = await import("../lib/tree.ts");
  return await treeItems(path, options);
}
