/**
 * The workspaces of a store: one in its root, and one in each folder below it that a file cannot be
 * linked into from there, such as another file system.
 *
 * @module
 */

import { type Folders, lstatIfThere, type Place } from "./folders.ts";
import { OWN_FOLDER } from "./names.ts";
import { Workspace } from "./workspace.ts";

/** Opens workspaces as they are needed. */
export class Workspaces {
  readonly #folders: Folders;
  readonly #open = new Map<string, Workspace>();

  constructor(folders: Folders) {
    this.#folders = folders;
  }

  /** The workspace of the root. */
  get root(): Workspace {
    return this.#open.get("") ?? this.#openIn("");
  }

  /** The workspace whose files can be linked into a folder, as far as is known. */
  of({ folder, mount, info }: Place): Workspace {
    for (let above = folder; above !== ""; above = parentOf(above)) {
      const workspace = this.#open.get(above);
      if (workspace?.info.dev === info.dev) return workspace;
    }
    return this.root.info.dev === info.dev ? this.root : this.addTo(mount);
  }

  /** Makes a workspace in a folder. The root remembers where, for the next run. */
  addTo(folder: string): Workspace {
    this.root.addPlace(folder);
    return this.#openIn(folder);
  }

  /** All workspaces that there are, also those of earlier runs. */
  all(): Workspace[] {
    if (!lstatIfThere(this.#folders.path(OWN_FOLDER))) return [];
    const { root } = this;
    for (const folder of root.places()) {
      try {
        this.#folders.check(`${folder}/`);
        if (!this.#open.has(folder)) this.#openIn(folder);
      } catch {
        // Not mounted now, or removed.
      }
    }
    return [...this.#open.values()];
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

  #openIn(folder: string): Workspace {
    const { disk } = this.#folders;
    const path = this.#folders.path(folder);
    const workspace = Workspace.open(path, disk, (message) => this.#folders.warnOnce(message));
    this.#open.set(folder, workspace);
    this.#folders.refuse(workspace.path, workspace.info);
    return workspace;
  }
}

function parentOf(folder: string): string {
  return folder.slice(0, Math.max(folder.lastIndexOf("/"), 0));
}
