/**
 * Exclude patterns for a folder tree, written as globs.
 *
 * A pattern without a `/` matches names at any depth: `*.tmp` excludes every file and folder with
 * such a name. A pattern with a `/` matches paths relative to the top of the tree: `cache/*.tmp`,
 * `**\/old/*`, or `/cache` for the entry at the top only. A pattern that ends with `/` matches
 * folders only. The contents of an excluded folder are excluded too.
 *
 * @module
 */

import { globToRegExp } from "@std/path/posix/glob-to-regexp";

/** Whether an entry is excluded. Its path is relative to the top of the tree, joined by `/`. */
export type Exclude = (path: string, isFolder: boolean) => boolean;

/** Compiles globs into one test. */
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

/** Whether a path or one of the folders above it is excluded, for trees that are not walked. */
export function isExcluded(exclude: Exclude, path: string, isFolder: boolean): boolean {
  for (let end = path.indexOf("/"); end >= 0; end = path.indexOf("/", end + 1)) {
    if (exclude(path.slice(0, end), true)) return true;
  }
  return exclude(path, isFolder);
}
