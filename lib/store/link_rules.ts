/**
 * Which symbolic links are sent, made and listed: by default those that lead nowhere but into the
 * tree that they are in.
 *
 * @module
 */

import { formatListEntry, type LinkFacts, type ListEntry, MAX_LINE_BYTES } from "../../protocol.ts";
import { InletError } from "../errors.ts";
import { formatCount, quoted } from "../text.ts";
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

/**
 * Refuses a link that is left out, or could not be listed.
 *
 * @throws {InletError} `denied` or `bad-name`
 */
export function checkLink(rule: LinkRule, name: string, { to, modified }: LinkFacts): void {
  const what = `Cannot make the link ${quoted(name)}`;
  if (isLeftOut(rule, name, to)) {
    const why = rule === "none" ? "links are not stored" : "it leads out of the directory";
    throw new InletError("denied", `${what}: ${why}`);
  }
  if (!isListable({ name, size: null, to, modified: modified ?? new Date() })) {
    throw new InletError("bad-name", `${what}: its target is too long`);
  }
}

/**
 * The notice of how many links were left out.
 *
 * @param done What was not done with them.
 */
export function linksLeftOut(
  count: number,
  rule: LinkRule = "tree",
  done: "sent" | "made",
): string {
  const links = `${formatCount(count)} symbolic ${count === 1 ? "link" : "links"}`;
  const were = count === 1 ? "was" : "were";
  if (rule === "none") return `${links} ${were} not ${done}: --links none`;
  const lead = count === 1 ? "leads" : "lead";
  const does = `${done === "sent" ? "sends" : "makes"} ${count === 1 ? "it" : "them"}`;
  return `${links} that ${lead} out of the folder ${were} not ${done}; --links all ${does}`;
}

/** Whether the entry of a link fits a line of a list: its target can have 4,096 bytes, too. */
export function isListable(entry: ListEntry): boolean {
  const line = formatListEntry(entry);
  // A character of UTF-16 has at most three bytes of UTF-8.
  return 3 * line.length < MAX_LINE_BYTES ||
    new TextEncoder().encode(line).length < MAX_LINE_BYTES;
}
