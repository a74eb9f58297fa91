/**
 * What a person names to be sent, as the items that it comes to.
 *
 * @module
 */

import { type Item, sourceAt } from "../lib/body/sources.ts";
import type { WalkOptions } from "./walk_folder.ts";

/**
 * What is to be sent of what is at a path: a file, or a folder with all that is in it.
 *
 * @throws {InletError} `usage` if there is nothing that can be sent
 */
export async function pathItems(path: string, options: WalkOptions): Promise<Item[]> {
  const source = sourceAt(path, options.as);
  if (source !== "folder") return [source];
  // Loaded here because most of what is sent is a file.
  const { folderItems } = await import("./walk_folder.ts");
  return await folderItems(path, options);
}
