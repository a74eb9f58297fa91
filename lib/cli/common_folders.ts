/**
 * The folders that hold many files, so that a person is asked once for all of them.
 *
 * A module of its own, because only prompts need it.
 *
 * @module
 */

import { dirname } from "@std/path/dirname";
import { relative } from "@std/path/relative";
import { resolve } from "@std/path/resolve";

/**
 * The fewest folders that hold all paths, as typed in the working directory: their common folder if
 * it has one of them directly in it, or is not outside the working directory; otherwise the folder of
 * each. A path that is alone in its folder stands for itself. No folder is wider than that: nobody
 * should be asked for all of a home because two files are in different folders of it.
 */
export function commonFolders(paths: readonly string[], cwd: string): string[] {
  const byFolder = Map.groupBy(paths, (path) => dirname(resolve(cwd, path)));
  const common = [...byFolder.keys()].reduce(commonFolder);
  const isNarrow = byFolder.has(common) || isWithin(common, resolve(cwd));
  if (isNarrow && !isRoot(common)) return [typed(common, cwd)];
  return [...byFolder].flatMap(([folder, inside]) =>
    inside.length === 1 || isRoot(folder) ? inside : typed(folder, cwd)
  );
}

function isRoot(folder: string): boolean {
  return dirname(folder) === folder;
}

function typed(folder: string, cwd: string): string {
  return isWithin(folder, resolve(cwd)) ? relative(cwd, folder) || "." : folder;
}

function commonFolder(one: string, other: string): string {
  while (!isWithin(other, one)) one = dirname(one);
  return one;
}

function isWithin(path: string, folder: string): boolean {
  return path === folder || !isRoot(path) && isWithin(dirname(path), folder);
}
