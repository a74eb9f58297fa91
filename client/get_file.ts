/**
 * Downloads a file of the server into a local directory.
 *
 * A module of its own, because the store takes longer to load than a small file takes to send.
 *
 * @module
 */

import { basename } from "@std/path/basename";
import { dirname } from "@std/path/dirname";
import { explain } from "../lib/errors.ts";
import type { Progress } from "../lib/cli/progress.ts";
import type { Stored } from "../protocol.ts";
import type { FilesClient } from "../modes/files/client.ts";
import { LocalStore, type LocalStoreOptions } from "./local_store.ts";

/** Options of {@linkcode getFile}. */
export interface GetFileOptions extends LocalStoreOptions {
  /** Stops the transfer; the session stays usable. */
  signal?: AbortSignal | undefined;
  /** Keeps the partial file when the transfer fails, and continues that of an earlier attempt. */
  resume?: boolean | undefined;
  /** Progress line to draw on. */
  progress?: Progress | undefined;
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
  await using store = await LocalStore.open(dirname(path), options);
  return await getInto(client, name, store, basename(path), options);
}

/** Like {@linkcode getFile}, into a store and under a name that may contain folders. */
export async function getInto(
  client: FilesClient,
  name: string,
  store: LocalStore,
  as: string,
  { signal, resume = false, progress }: GetFileOptions,
): Promise<Stored> {
  if (resume) progress?.doing("reading what is here of it");
  const opening = store.receive(as, resume);
  await using file = await client.rest(opening).catch((error) => {
    // Without a wait: it may be reading a large partial file, which stays.
    opening.then((opened) => opened[Symbol.asyncDispose]()).catch(() => {});
    throw error;
  });
  try {
    const { size, crc, ...facts } = await client.get(name, file, signal);
    return { size, crc, name: await file.publish(facts) };
  } catch (error) {
    const { code } = explain(error);
    // Wrong bytes are useless for resuming.
    if (code === "checksum" || code === "changed") await file.discard();
    throw error;
  }
}
