/**
 * The path of a Unix socket, as people type it.
 *
 * Loaded on demand: most addresses are ports.
 *
 * @module
 */

import { resolve } from "@std/path/resolve";
import { unixPathIn } from "../address.ts";
import { InletError } from "../errors.ts";
import { quoted } from "../text.ts";

/**
 * Reads `unix:PATH`. A relative path starts from the current folder.
 *
 * @returns The absolute path, as Deno wants it in the name of a permission.
 * @throws {InletError} `usage` without a path, and in Windows, where Deno has no such sockets
 */
export function parseUnixPath(word: string): string {
  const path = unixPathIn(word);
  if (path && Deno.build.os !== "windows") return resolve(path);
  const why = path
    ? "Deno has no Unix sockets in Windows"
    : "give a path, like unix:/run/inlet.sock";
  throw new InletError("usage", `Cannot use ${quoted(word)}: ${why}`);
}
