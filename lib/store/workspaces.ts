/**
 * The workspaces of a store: one in its root, and one in each folder below it that a file cannot be
 * linked into from there, such as another file system.
 *
 * @module
 */

import { type DiskTraits, UNTRIED } from "./disk_traits.ts";
import type { DiskAbilities } from "./disk_abilities.ts";
import type { RefusedNames } from "./disk_names.ts";
import { folderOf, type Folders, foldersOf, lstatIfThere, type Place } from "./folders.ts";
import { OWN_FOLDER } from "./names.ts";
import { placesIn } from "./places.ts";
import { Workspace } from "./workspace.ts";

/**
 * How often an action is tried for which there is no `.inlet`: every process that is done with a folder
 * removes the one there, if it is empty, and several can be done one after another.
 */
const MOST_TRIES = 100;

/** Opens workspaces as they are needed. */
export class Workspaces {
  readonly #folders: Folders;
  readonly #prefix: string;
  readonly #open = new Map<string, Workspace>();
  /** Those of all that were opened so far. */
  readonly #abilities = new Map<string, DiskAbilities>();

  /** @param prefix What the names of the store's own files begin with. */
  constructor(folders: Folders, prefix: string) {
    this.#folders = folders;
    this.#prefix = prefix;
    folders.refusedIn = (folder) => this.#refusedIn(folder);
  }

  /** What the disk of a folder refuses in names. A server has opened the root's before. */
  #refusedIn(folder: string): RefusedNames | undefined {
    for (let above = folder; above !== ""; above = folderOf(above)) {
      const abilities = this.#abilities.get(above);
      if (abilities) return abilities.refusedNames;
    }
    const ofRoot = this.#abilities.get("");
    // A client that has saved nothing yet opens it now.
    return (ofRoot ?? (this.#prefix === "" ? undefined : this.root.abilities))?.refusedNames;
  }

  /** The workspace of the root. */
  get root(): Workspace {
    return this.#open.get("") ?? this.#openIn("");
  }

  /** The workspace whose files can be linked into a folder, as far as is known. */
  of({ folder, mount, info }: Place): Workspace {
    for (let above = folder; above !== ""; above = folderOf(above)) {
      const workspace = this.#open.get(above);
      if (workspace?.info.dev === info.dev) return workspace;
    }
    return this.root.info.dev === info.dev ? this.root : this.addTo(mount);
  }

  /**
   * What is known of a disk: that of the root is tried, where something may be written. Elsewhere
   * nothing is known without an open workspace.
   */
  traitsOf(dev: number, mayTry: boolean): DiskTraits {
    for (const { info, traits } of this.#open.values()) if (info.dev === dev) return traits;
    return mayTry && this.root.info.dev === dev ? this.root.traits : UNTRIED;
  }

  /** Makes a workspace in a folder. The root remembers where, for the next run. */
  addTo(folder: string): Workspace {
    this.root.addPlace(folder);
    return this.#openIn(folder);
  }

  /**
   * Makes a workspace for a folder that no link leads into although it seems to be on the same file
   * system, such as one inside of a bind mount: in the outermost folder from which links do.
   */
  addBeyond(folder: string): Workspace {
    const inner = this.#openIn(folder);
    for (const outer of foldersOf(folder)) {
      const workspace = this.#openIn(outer);
      const reaches = workspace.reaches(inner);
      this.#leave(reaches ? folder : outer);
      if (reaches) return this.addTo(outer);
    }
    return this.addTo(folder);
  }

  #leave(folder: string): void {
    this.#open.get(folder)?.tidy();
    this.#open.delete(folder);
  }

  /** All workspaces that there are, also those of earlier runs. */
  all(): Workspace[] {
    if (!lstatIfThere(this.#folders.path(OWN_FOLDER))) return [];
    const root = this.ensuring(() => this.root);
    for (const folder of placesIn(root.path)) {
      try {
        this.#folders.check(`${folder}/`);
        if (!this.#open.has(folder)) this.#openIn(folder);
      } catch {
        // Not mounted now, or removed.
      }
    }
    return [...this.#open.values()];
  }

  /** Refuses the names that lead into workspaces, without making or opening any. */
  refuse(): void {
    for (const folder of ["", ...this.#readablePlaces()]) {
      const path = `${this.#folders.path(folder)}/${OWN_FOLDER}`;
      const info = lstatIfThere(path);
      if (info) this.#folders.refuse(path, info);
    }
  }

  /** Another user's workspace cannot be read, and so neither can what is in it be given away. */
  #readablePlaces(): string[] {
    try {
      return placesIn(this.#folders.path(OWN_FOLDER));
    } catch (error) {
      if (error instanceof Deno.errors.PermissionDenied) return [];
      throw error;
    }
  }

  /** Closes all, and removes those that are empty. */
  close(): void {
    for (const workspace of this.#open.values()) workspace.tidy();
    this.forget();
  }

  /** Forgets all: another program has removed one. */
  forget(): void {
    this.#open.clear();
  }

  /**
   * Runs an action on the files of workspaces. If another process removes one meanwhile, it is made
   * again, and the action runs anew.
   *
   * @param action It does not wait for anything, and asks for its workspace itself.
   * @param remake Called before it runs anew.
   */
  ensuring<T>(action: () => T, remake: () => void = () => {}): T {
    for (let left = MOST_TRIES;; left--) {
      try {
        return action();
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound) || left === 1) throw error;
      }
      this.forget();
      remake();
    }
  }

  #openIn(folder: string): Workspace {
    const { disk } = this.#folders;
    const path = this.#folders.path(folder);
    const options = {
      ...{ disk, prefix: this.#prefix },
      warn: (message: string) => this.#folders.warnOnce(message),
    };
    const workspace = this.#folders.inFolder(folder, () => Workspace.open(path, options));
    this.#open.set(folder, workspace);
    this.#abilities.set(folder, workspace.abilities);
    this.#folders.refuse(workspace.path, workspace.info);
    return workspace;
  }
}
