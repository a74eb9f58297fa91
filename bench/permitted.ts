/**
 * What the programs of a run are permitted.
 *
 * Deno looks at each part of every path that it opens unless everything is permitted, so a program
 * with narrower permissions takes about twice as long for each file.
 *
 * @module
 */

import { type Entrant, Unavailable } from "./compare.ts";
import type { Workspace } from "./workspace.ts";

/** What README.md tells people to give. */
export const README: readonly string[] = ["--allow-net", "--allow-read", "--allow-write"];

/** An entrant that is left out where only a program with every permission can use the workspace. */
export function permitted({ isOrdinary }: Workspace, enter: Entrant["enter"]): Entrant["enter"] {
  if (isOrdinary) return enter;
  return () =>
    Promise.reject(new Unavailable("its files are below /dev, and this user cannot mount"));
}
