/**
 * A file of the server, saved on this side.
 *
 * In a file of its own because the store takes longer to load than a small file takes to send.
 *
 * @module
 */

import { basename } from "@std/path/basename";
import { dirname } from "@std/path/dirname";
import type { FilesClient } from "./files.ts";
import type { Stored } from "../protocol.ts";
import { Store } from "../lib/store.ts";

/**
 * Gets a file into a path. A file that is there already is not touched: the new one gets a number.
 *
 * @param signal Stops it, and lets other requests follow.
 * @returns What was stored, once it is verified.
 */
export async function save(
  client: FilesClient,
  name: string,
  path: string,
  signal?: AbortSignal,
): Promise<Stored> {
  const store = await Store.open(dirname(path));
  using file = store.create(basename(path));
  const { bytes: size, crc } = await client.get(name, (chunk) => file.write(chunk), signal);
  return { size, crc, name: await file.publish() };
}
