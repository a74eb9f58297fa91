/**
 * Downloads a file of the server into a local directory.
 *
 * A module of its own, because the store takes longer to load than a small file takes to send.
 *
 * @module
 */

import { basename } from "@std/path/basename";
import { dirname } from "@std/path/dirname";
import { join } from "@std/path/join";
import { explain } from "../lib/errors.ts";
import { DirectoryStore } from "../lib/store/directory.ts";
import type { Store, Upload } from "../lib/store/store.ts";
import type { Stored } from "../protocol.ts";
import type { FilesClient } from "../modes/files/client.ts";

/** Options of {@linkcode getFile}. */
export interface GetFileOptions {
  /** Stops the transfer; the session stays usable. */
  signal?: AbortSignal | undefined;
  /** Keeps the partial file when the transfer fails, and continues that of an earlier attempt. */
  resume?: boolean | undefined;
}

/**
 * Downloads a file to a path. If the name is taken, the new file is published under a number.
 *
 * @returns What was stored, after verification.
 */
export async function getFile(
  client: FilesClient,
  name: string,
  path: string,
  options: GetFileOptions = {},
): Promise<Stored> {
  const store = await DirectoryStore.open(dirname(path));
  try {
    return await getInto(client, name, store, basename(path), options);
  } finally {
    // Tidies after earlier transfers, too.
    await store.sweep();
    store.close();
  }
}

/** Like {@linkcode getFile}, into a store and under a name that may contain folders. */
export async function getInto(
  client: FilesClient,
  name: string,
  store: Store,
  as: string,
  { signal, resume }: GetFileOptions,
): Promise<Stored> {
  await using file = resume
    ? await client.rest(resumeInto(store, as))
    : await store.receive(as, null);
  try {
    const { size, crc, modified } = await client.get(name, file, signal);
    return { size, crc, name: await file.publish({ modified }) };
  } catch (error) {
    const { code } = explain(error);
    // Wrong bytes are useless for resuming.
    if (code === "checksum" || code === "changed") await file.discard();
    throw error;
  }
}

/** Goes on with a partial file, if there is one. The server checks that it is of the same file. */
async function resumeInto(store: Store, as: string): Promise<Upload> {
  const how = { fingerprint: `get ${as}` };
  for await (const partial of store.findPartials(as, how)) {
    const upload = await partial.take(how);
    if (upload) return upload;
  }
  return await store.receiveResumable(as, null, how);
}

/** The path to save a file to. In a folder, the file keeps its own name. */
export function savePath(name: string, output: string | undefined): string {
  // A file named "-" is saved like any other: only --output - means the standard output.
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
