/**
 * Opens the store of a server: a directory, unless the program gives one of its own.
 *
 * @module
 */

import { DirectoryStore } from "../store/directory.ts";
import type { DiskSpace } from "../store/disk_space.ts";
import { homeWarning, looksLikeHome } from "../store/home_directory.ts";
import type { ServerStore } from "../store/ongoing.ts";
import type { Log } from "./log.ts";
import type { ServeOptions } from "./serve_options.ts";

/** The options that concern the store. */
type StoreSettings =
  & Pick<ServeOptions, "store" | "fsync" | "dotfiles" | "links" | "access" | "users" | "disk">
  & { directory: string; keepPartialsMs: number };

/** Opens the store. Modes that store nothing do not touch it. */
export async function openStore(
  settings: StoreSettings,
  { stores, log, space }: { stores: boolean; log: Log; space: DiskSpace | undefined },
): Promise<ServerStore> {
  const { store: own, directory, dotfiles = true, access, disk = Deno } = settings;
  if (own) {
    if (stores) await own.prepare();
    return own;
  }
  const { fsync = false, keepPartialsMs, links } = settings;
  const warn = (message: string): void => log.warn("store", message);
  // Who may only upload must not learn by a refusal which names are taken.
  const hidesNames = access === "drop-only" || settings.users !== undefined;
  const naming = { dotfiles, hidesNames, links };
  const readOnly = access === "read-only";
  const options = { ...naming, fsync, keepPartialsMs, readOnly, disk, space, warn };
  if (!stores) return new DirectoryStore(directory, options);
  const store = await DirectoryStore.open(directory, options);
  await store.prepare();
  if (dotfiles && looksLikeHome(directory)) warn(homeWarning(directory));
  return store;
}
