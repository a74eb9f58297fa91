/**
 * The list of the folders below a store that have a `.inlet` of their own: the file `places` in the
 * one of the root.
 *
 * @module
 */

import { here } from "./current_folder.ts";
import { appendTo } from "./regular_file.ts";

const PLACES = "places";

/** The folders that have a `.inlet` of their own, as the one in the root lists them. */
export function placesIn(workspace: string): string[] {
  try {
    return Deno.readTextFileSync(`${workspace}/${PLACES}`).split("\n").filter(Boolean);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

/** Adds a folder to the list of a workspace. */
export function addPlace(workspace: string, folder: string): void {
  if (placesIn(workspace).includes(folder)) return;
  appendTo(here(`${workspace}/${PLACES}`), `${folder}\n`);
}
