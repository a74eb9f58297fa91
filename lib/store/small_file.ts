/**
 * A small file, complete in memory: it is written and published without yielding to the event loop,
 * under a temporary name that no other program can know.
 *
 * @module
 */

import type { Facts } from "../body/file_facts.ts";
import { type Folders, isGroupGiven, type Place } from "./folders.ts";
import { linkUnder, type Numbering } from "./numbering.ts";
import { isOtherFileSystem } from "./temp_file.ts";
import type { Workspace } from "./workspace.ts";

/** Where a small file is published. */
export interface SmallFileTarget {
  folders: Folders;
  numbering: Numbering;
  /** The folder, as it was found to be just now. */
  place: Place;
  workspace: Workspace;
  /** The wanted name. */
  name: string;
}

/**
 * Publishes a small file.
 *
 * @returns The published name, or `undefined` where its disk, or that of the folder, allows no link to it.
 */
export function publishSmall(
  { folders, numbering, place, workspace, name }: SmallFileTarget,
  content: Uint8Array,
  facts: Facts,
): string | undefined {
  if (!workspace.abilities.hasLinks) return undefined;
  const temp = workspace.reusedPath();
  try {
    workspace.write(temp, content, facts, isGroupGiven(place) ? place.info.gid : null);
    const names = numbering.variants(name);
    return folders.inFolder(place, () => linkUnder(names, folders, temp));
  } catch (error) {
    if (isOtherFileSystem(error) || workspace.abilities.lacksLinks(error)) return undefined;
    throw error;
  } finally {
    workspace.freeReused();
  }
}
