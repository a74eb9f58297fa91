/**
 * The names that a person asks the server for.
 *
 * @module
 */

import { EVERYTHING } from "../lib/store/names.ts";
import type { ServerName } from "./plan.ts";

/** Each of several names once. A folder at the top is a part of everything. */
export function distinct(
  names: readonly ServerName[],
  onTwice: (name: string) => void,
): ServerName[] {
  const seen = new Set<string>();
  const hasAll = names.some(({ name }) => name === EVERYTHING);
  return names.filter((asked) => {
    const { name } = asked;
    const isTwice = seen.has(labelOf(asked)) ||
      hasAll && name !== EVERYTHING && !name.includes("/");
    if (isTwice) onTwice(labelOf(asked));
    seen.add(labelOf(asked));
    return !isTwice;
  });
}

/** The name for the person: with a slash at the end of a folder. */
export function labelOf({ name, isFolder }: ServerName): string {
  return isFolder && name !== EVERYTHING ? `${name}/` : name;
}
