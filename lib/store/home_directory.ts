/**
 * Recognizes a directory that is no good place for received files.
 *
 * @module
 */

import { quoted } from "../text.ts";

/** What home directories hold, and directories of received files do not. */
const HOME_ENTRIES = [".ssh", ".profile", ".bashrc", ".zshrc", ".gnupg", ".config", "AppData"];

/** Whether a directory is the root of a disk, or holds what home directories do. */
export function looksLikeHome(directory: string): boolean {
  const isThere = (name: string): boolean => {
    try {
      return Deno.lstatSync(`${directory}/${name}`) !== undefined;
    } catch {
      return false;
    }
  };
  return /^([A-Za-z]:)?[/\\]*$/.test(directory) || HOME_ENTRIES.some(isThere);
}

/** The warning about it. */
export function homeWarning(directory: string): string {
  return `Warning: ${quoted(directory)} looks like a home directory, and clients can use its ` +
    `hidden files, such as .ssh/authorized_keys: choose another --dir, or give --no-dotfiles`;
}
