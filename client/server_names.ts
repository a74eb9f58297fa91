/**
 * The names that a person asks the server for.
 *
 * @module
 */

import { EVERYTHING } from "../lib/store/names.ts";
import { quoted } from "../lib/text.ts";
import type { ServerName } from "./plan.ts";

/**
 * Each of several names once. What is at the top is a part of everything.
 *
 * @param onSkip Called with a line for each name that is left out.
 */
export function distinct(
  names: readonly ServerName[],
  onSkip: (text: string) => void,
): ServerName[] {
  const times = new Map<string, number>();
  const hasAll = names.some(({ name }) => name === EVERYTHING);
  return names.filter((asked) => {
    const label = labelOf(asked);
    const before = times.get(label) ?? 0;
    times.set(label, before + 1);
    const isPart = hasAll && asked.name !== EVERYTHING && !asked.name.includes("/");
    const why = isPart ? `it comes with ${quoted(EVERYTHING)}` : "it is named twice";
    // One line, however often it is named.
    if (isPart ? before === 0 : before === 1) onSkip(`Skipped ${quoted(label)}: ${why}`);
    return !isPart && before === 0;
  });
}

/** The name for the person: with a slash at the end of a folder. */
export function labelOf({ name, isFolder }: ServerName): string {
  return isFolder && name !== EVERYTHING ? `${name}/` : name;
}
