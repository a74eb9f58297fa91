/**
 * A file of the server, saved on this side.
 *
 * In a file of its own because the store takes longer to load than a small file takes to send.
 *
 * @module
 */

import { basename } from "@std/path/basename";
import { dirname } from "@std/path/dirname";
import { join } from "@std/path/join";
import { explain } from "../lib/errors.ts";
import { DirectoryStore } from "../lib/store/directory.ts";
import type { Store } from "../lib/store/store.ts";
import type { Stored } from "../protocol.ts";
import type { FilesClient } from "../modes/files/client.ts";

/** Options of {@linkcode getFile}. */
export interface GetFileOptions {
  /** Stops it, and lets other requests follow. */
  signal?: AbortSignal | undefined;
  /** Keeps what came when it breaks off, and goes on behind what an earlier attempt kept. */
  resume?: boolean | undefined;
}

/**
 * Gets a file into a path. A file that is there already is not touched: the new one gets a number.
 *
 * @returns What was stored, once it is verified.
 */
export async function getFile(
  client: FilesClient,
  name: string,
  path: string,
  options: GetFileOptions = {},
): Promise<Stored> {
  const store = await DirectoryStore.open(dirname(path));
  return await getInto(client, name, store, basename(path), options);
}

/** The same into a store, under a name that may hold folders. */
export async function getInto(
  client: FilesClient,
  name: string,
  store: Store,
  as: string,
  { signal, resume }: GetFileOptions,
): Promise<Stored> {
  await using file = resume
    ? await client.rest(store.resume(as, null))
    : await store.receive(as, null);
  try {
    const { size, crc, modified } = await client.get(name, file, signal);
    return { size, crc, name: await file.publish({ modified }) };
  } catch (error) {
    const { code } = explain(error);
    // What arrived damaged is nothing to go on with.
    if (code === "checksum" || code === "changed") await file.discard();
    throw error;
  }
}

/** Where a file is saved: into a folder under its own name, as other programs do. */
export function savePath(name: string, output: string | undefined): string {
  // A file that is called - is saved like any other: nobody asked for the standard output.
  if (output === undefined) return `./${basename(name)}`;
  return output.endsWith("/") || isFolder(output) ? join(output, basename(name)) : output;
}

function isFolder(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch {
    return false;
  }
}
