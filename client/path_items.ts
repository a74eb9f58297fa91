/**
 * Expands a path from the command line into the items to send.
 *
 * @module
 */

import { sourceAt } from "../lib/body/path_source.ts";
import type { Item } from "../lib/body/sources.ts";
import { quoted } from "../lib/text.ts";
import type { WalkOptions } from "./walk_folder.ts";

/**
 * The items to send for a path, in pages: one file, or a folder with its contents, each page of which
 * is found when it is asked for. None if it is excluded itself, which is reported.
 *
 * @throws {InletError} `usage` if the path holds nothing that can be sent
 */
export async function pathItems(
  path: string,
  options: WalkOptions,
): Promise<Iterable<readonly Item[]>> {
  const { onSkip, signal } = options;
  const source = sourceAt(path, options.as, { onNotice: onSkip, signal });
  if (options.exclude?.("", source === "folder")) {
    onSkip(`Skipped ${quoted(path)}: --exclude leaves it out`);
    return [];
  }
  if (source !== "folder") return [[source]];
  // Loaded on demand, because most sends are single files.
  const { folderItems } = await import("./walk_folder.ts");
  return await folderItems(path, options);
}
