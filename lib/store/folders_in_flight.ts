/**
 * The new folders of a workspace that are not published yet, and their removal.
 *
 * One is renamed before it is removed: its writer, if it is only stopped, must not publish a part.
 *
 * @module
 */

import { explain } from "../errors.ts";
import { quoted } from "../text.ts";
import { isTurnDue, takeTurns } from "../turns.ts";
import { here } from "./current_folder.ts";
import type { Disk } from "./disk.ts";
import { lstatIfThere } from "./folder_ways.ts";
import { tryTo } from "./temp_file.ts";

const NAME = /^[0-9a-f]{32}\.tempdir$/;
const GONE = /^gone-[0-9a-f]{32}$/;

/** What {@linkcode FoldersInFlight} need of their workspace. */
export interface FoldersInFlightOptions {
  readonly disk: Disk;
  /** Path of the workspace. */
  readonly path: string;
  /** What the names of the store's own files begin with. */
  readonly prefix: string;
  /** Runs an action in the workspace. */
  within<T>(action: () => T): T;
}

/** The folders in flight of one workspace. */
export class FoldersInFlight {
  readonly #options: FoldersInFlightOptions;

  constructor(options: FoldersInFlightOptions) {
    this.#options = options;
  }

  /** A path for one that no other process can guess. */
  newPath(): string {
    return this.#pathOf(`${newId()}.tempdir`);
  }

  /** Removes one. */
  discard(path: string): void {
    this.#options.disk.removeSync(this.#putAside(path), { recursive: true });
  }

  /**
   * Removes one of a dead server, or goes on to remove one.
   *
   * @param isAbandoned Whether it has not been written for so long that its server is dead.
   * @param warn Called if it cannot be removed.
   * @returns Whether the name is that of one.
   */
  async sweep(
    name: string,
    isAbandoned: (info: Deno.FileInfo) => boolean,
    warn: (message: string) => void,
  ): Promise<boolean> {
    const { path: workspace, prefix, disk } = this.#options;
    const own = name.startsWith(prefix) ? name.slice(prefix.length) : "";
    const isGone = GONE.test(own);
    if (!isGone && !NAME.test(own)) return false;
    const path = `${workspace}/${name}`;
    try {
      const info = lstatIfThere(path);
      if (!info?.isDirectory || (!isGone && !isAbandoned(info))) return true;
      await removeFolder(disk, isGone ? path : this.#putAside(path));
    } catch (error) {
      // Another server removes it too.
      if (error instanceof Deno.errors.NotFound) return true;
      warn(explain(error, `Cannot remove ${quoted(path)}, which is abandoned`).message);
    }
    return true;
  }

  #putAside(path: string): string {
    const gone = this.#pathOf(`gone-${newId()}`);
    this.#options.within(() => this.#options.disk.renameSync(here(path), here(gone)));
    return gone;
  }

  #pathOf(name: string): string {
    return `${this.#options.path}/${this.#options.prefix}${name}`;
  }
}

/** A part of a name that no other process can guess. */
export function newId(): string {
  return crypto.randomUUID().replaceAll("-", "");
}

/** Removes a folder with all that is in it. It follows no link, and yields to the event loop. */
async function removeFolder(disk: Disk, path: string): Promise<void> {
  // It may have the permission bits that it was to be published with.
  tryTo(() => disk.chmodSync(path, 0o700));
  for await (const { name, isDirectory } of Deno.readDir(path)) {
    if (isTurnDue()) await takeTurns();
    if (isDirectory) await removeFolder(disk, `${path}/${name}`);
    else disk.removeSync(`${path}/${name}`);
  }
  disk.removeSync(path);
}
