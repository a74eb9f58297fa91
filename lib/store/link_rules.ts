/**
 * Which symbolic links are sent, made and listed: by default those that lead nowhere but into the
 * tree that they are in.
 *
 * @module
 */

import { isOwnFolder } from "./names.ts";

/**
 * Which links are carried: those within their tree, all, or none.
 */
export type LinkRule = "tree" | "all" | "none";

/** Every {@linkcode LinkRule}, with its description. */
export const LINK_RULES: Readonly<Record<LinkRule, string>> = {
  tree: "those that stay in the tree",
  all: "all",
  none: "none",
};

/**
 * Whether a link could lead out of its tree, or to what is never shown in it. The target is judged by
 * its text, because what it leads to can change at any time. So a `..` may only stand at its
 * beginning: behind a name it would lead on from wherever that name leads.
 *
 * @param name Name of the link within the tree: the number of its folders bounds the number of `..`.
 */
export function leadsOut(name: string, target: string): boolean {
  const isWindows = Deno.build.os === "windows";
  const parts = target.split(isWindows ? /[/\\]/ : "/");
  if (parts[0] === "" || (isWindows && /^[a-z]:/i.test(target))) return true;
  let above = name.split("/").length - 1;
  let isNamed = false;
  for (const part of parts) {
    if (part === "" || part === ".") continue;
    if (part !== "..") isNamed = true;
    else if (isNamed || --above < 0) return true;
    if (isOwnFolder(part)) return true;
  }
  return false;
}

/** Whether a rule leaves a link out. */
export function isLeftOut(rule: LinkRule, name: string, target: string): boolean {
  return rule === "none" || (rule === "tree" && leadsOut(name, target));
}
