/**
 * Folders to send and get, and what is in them.
 *
 * @module
 */

import { crc32 } from "node:zlib";
import { dirname } from "@std/path/dirname";
import { OWN } from "./helpers.ts";

/** A time long ago, to see that it is kept. */
export const LONG_AGO = new Date("2001-02-03T04:05:06Z");

/** Makes files under a directory: by name, their content; folders end with a slash. */
export function makeTree(directory: string, files: Record<string, string | Uint8Array>): void {
  for (const [name, content] of Object.entries(files)) {
    const path = `${directory}/${name}`;
    Deno.mkdirSync(name.endsWith("/") ? path : dirname(path), { recursive: true });
    if (name.endsWith("/")) continue;
    if (typeof content === "string") Deno.writeTextFileSync(path, content);
    else Deno.writeFileSync(path, content);
    Deno.utimeSync(path, LONG_AGO, LONG_AGO);
  }
}

/**
 * What is in a directory, a line each: the CRC-32, time and name of files, the names of the rest. The
 * folder of a store's own is left out, but not what it holds.
 */
export function treeOf(directory: string, below = ""): string[] {
  const lines: string[] = [];
  for (const { name, isFile, isDirectory } of Deno.readDirSync(`${directory}/${below}`)) {
    const path = below + name;
    if (name === OWN) lines.push(...treeOf(directory, `${path}/`));
    else if (isDirectory) lines.push(`${path}/`, ...treeOf(directory, `${path}/`));
    else if (isFile) lines.push(`${path} ${factsOf(`${directory}/${path}`)}`);
    else lines.push(`${path} is something else`);
  }
  return lines.sort();
}

function factsOf(path: string): string {
  const time = Deno.statSync(path).mtime!.toISOString().slice(0, 19);
  return `${crc32(Deno.readFileSync(path))} ${time}`;
}
