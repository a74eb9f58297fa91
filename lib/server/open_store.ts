/**
 * Opens the store of a server: a directory, a bucket, or one that the program gives.
 *
 * @module
 */

import { DirectoryStore } from "../store/directory.ts";
import type { DiskSpace } from "../store/disk_space.ts";
import { homeWarning, looksLikeHome } from "../store/home_directory.ts";
import type { ServerStore } from "../store/ongoing.ts";
import { isBucketAddress } from "./bucket_options.ts";
import type { Log } from "./log.ts";
import type { ServeOptions } from "./serve_options.ts";

/** The options that concern the store. */
type StoreSettings =
  & Pick<ServeOptions, "store" | "s3Endpoint" | "s3Region" | "fsync" | "dotfiles" | "links">
  & Pick<ServeOptions, "access" | "users" | "disk">
  & { directory: string; keepPartialsMs: number };

/**
 * Opens the bucket, if the store is one: before the port is, so that no client finds a server that cannot
 * store. What a bucket needs is loaded here, and by no other server.
 *
 * @throws {InletError} `usage` if the bucket cannot be used, `lost` if it cannot be reached
 */
export async function bucketOf(
  settings: StoreSettings,
  log: Log,
): Promise<ServerStore | undefined> {
  const { store: address, s3Endpoint, s3Region } = settings;
  if (!isBucketAddress(address)) return undefined;
  const { openBucketStore } = await import("./bucket.ts");
  return await openBucketStore({ address, s3Endpoint, s3Region }, optionsOf(settings, log));
}

/** Opens any other store. Modes that store nothing do not touch it. */
export async function openStore(
  settings: StoreSettings,
  { stores, log, space }: { stores: boolean; log: Log; space: DiskSpace | undefined },
): Promise<ServerStore> {
  const { store: own, directory, fsync = false, disk = Deno } = settings;
  if (typeof own === "object") {
    if (stores) await own.prepare();
    return own;
  }
  const options = { ...optionsOf(settings, log), fsync, disk, space };
  if (!stores) return new DirectoryStore(directory, options);
  const store = await DirectoryStore.open(directory, options);
  await store.prepare();
  if (options.dotfiles && looksLikeHome(directory)) options.warn(homeWarning(directory));
  return store;
}

/** What a directory and a bucket have in common. */
function optionsOf(
  { dotfiles = true, access, users, keepPartialsMs, links }: StoreSettings,
  log: Log,
) {
  return {
    dotfiles,
    // Who may only upload must not learn by a refusal which names are taken.
    hidesNames: access === "drop-only" || users !== undefined,
    links,
    keepPartialsMs,
    readOnly: access === "read-only",
    warn: (message: string): void => log.warn("store", message),
  };
}
