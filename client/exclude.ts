/**
 * What a person wants left out of a tree, as patterns that are globs.
 *
 * A pattern without a `/` is for names: `*.tmp` leaves out every file and folder of such a name,
 * however deep. One with a `/` is for paths from the top of the tree on: `cache/*.tmp`, `**\/old/*`,
 * and `/cache` for the one at the top alone. A `/` at the end is for folders alone. What is in a
 * folder that is left out is left out too.
 *
 * @module
 */

import { globToRegExp } from "@std/path/posix/glob-to-regexp";

/** Whether something is left out: its path from the top of the tree on, joined by `/`. */
export type Exclude = (path: string, isFolder: boolean) => boolean;

/** Puts patterns together. */
export function excludeOf(globs: readonly string[]): Exclude {
  const patterns = globs.map((glob) => {
    const body = glob.replace(/^\/|\/$/g, "");
    return {
      expression: globToRegExp(body),
      folders: glob.endsWith("/"),
      whole: glob.startsWith("/") || body.includes("/"),
    };
  });
  return (path, isFolder) => {
    const name = path.slice(path.lastIndexOf("/") + 1);
    return patterns.some(({ expression, folders, whole }) =>
      (isFolder || !folders) && expression.test(whole ? path : name)
    );
  };
}

/** The same of a path of which the folders are not walked: any of them can be left out. */
export function isExcluded(exclude: Exclude, path: string, isFolder: boolean): boolean {
  for (let end = path.indexOf("/"); end >= 0; end = path.indexOf("/", end + 1)) {
    if (exclude(path.slice(0, end), true)) return true;
  }
  return exclude(path, isFolder);
}
