/**
 * Finds out where a download goes on this machine, before the server is asked for it.
 *
 * @module
 */

import { basename } from "@std/path/basename";
import { dirname } from "@std/path/dirname";
import { join } from "@std/path/join";
import { commandWithAll, shellQuoted } from "../lib/cli/permissions.ts";
import { InletError } from "../lib/errors.ts";
import { localError } from "../lib/local_errors.ts";
import { quoted } from "../lib/text.ts";

/** The place for a file. */
export interface SavePath {
  readonly path: string;
  /** Whether a pipe or a device is there: it is written to, and cannot be replaced or numbered. */
  readonly isStream: boolean;
}

/**
 * The path to save a file to. In a folder, the file keeps its own name.
 *
 * @param output A file or a folder; without it, the current folder.
 * @throws {InletError} `usage` if it cannot be there: no folder is made for it
 */
export function savePath(name: string, output: string | undefined): SavePath {
  const path = pathOf(name, output);
  const there = lookAt(path);
  if (there?.isSocket) throw refusal(`Cannot write to ${quoted(path)}: it is a socket`);
  if (there?.isFifo || there?.isCharDevice || there?.isBlockDevice) return { path, isStream: true };
  checkFolder(dirname(path));
  return { path, isStream: false };
}

/** The path by which a file can be found that was to be saved at another one: `./a (2).txt`. */
export function publishedAt(path: string, published: string): string {
  return pathIn(dirname(path), basename(published));
}

/** The path of a name in a folder. It begins with `./` in the current folder. */
export function pathIn(folder: string, name: string): string {
  return folder === "." ? `./${name}` : join(folder, name);
}

/**
 * Checks that a folder is there to save into.
 *
 * @throws {InletError} `usage` if it is not
 */
export function checkFolder(folder: string): void {
  const there = lookAt(folder);
  if (there?.isDirectory) return;
  const what = `Cannot save into ${quoted(folder)}`;
  if (there) throw refusal(`${what}: it is not a folder`);
  throw refusal(`${what}: it does not exist; run: mkdir -p ${shellQuoted(folder)}`);
}

function pathOf(name: string, output: string | undefined): string {
  // A file named "-" is saved like any other: only --output - means the standard output.
  if (output === undefined) return pathIn(".", basename(name));
  const isFolder = output.endsWith("/") || lookAt(output)?.isDirectory;
  return isFolder ? join(output, basename(name)) : output;
}

/** Returns what is at a path, or at the end of a link; `undefined` if there is nothing. */
function lookAt(path: string): Deno.FileInfo | undefined {
  try {
    return Deno.statSync(path);
  } catch (error) {
    const { NotFound, NotADirectory } = Deno.errors;
    if (error instanceof NotFound || error instanceof NotADirectory) return undefined;
    throw pathError(error, `Cannot save to ${quoted(path)}`);
  }
}

/** Explains why a path could not be used. What only `--allow-all` permits has the whole command. */
export function pathError(error: unknown, what: string): InletError {
  const known = localError(error, what);
  const { NotCapable } = Deno.errors;
  if (!(error instanceof NotCapable) || !error.message.includes("--allow-all")) return known;
  return refusal(`${known.message}; run: ${commandWithAll()}`);
}

function refusal(message: string): InletError {
  return new InletError("usage", message);
}
