/**
 * What the disk of a `.inlet` can do, found out with files of our own at the first use.
 *
 * @module
 */

import { systemCode } from "../system_errors.ts";
import { quoted } from "../text.ts";
import type { Disk } from "./disk.ts";
import { probeNames, type RefusedNames } from "./disk_names.ts";
import type { RenameLock } from "./rename_lock.ts";
import { type TempFile, tryTo } from "./temp_file.ts";

/** What a link fails with on a disk without hard links. */
const NO_LINKS: readonly string[] = [
  "EPERM",
  "EACCES",
  "ENOTSUP",
  "EOPNOTSUPP",
  "ENOSYS",
  "EMLINK",
];

/** Bytes of the hole that is tried: more than any block of a disk. */
const HOLE_BYTES = 1024 * 1024;

/** What the system counts the blocks of a file in, whatever its disk does. */
const STAT_BLOCK_BYTES = 512;

/** Options of {@linkcode DiskAbilities}. */
export interface DiskAbilitiesOptions {
  disk: Disk;
  /** What the names of the store's own files begin with. */
  prefix: string;
  /** Called with what the operator should know of the disk. */
  warn(message: string): void;
}

/** The `.inlet` on the disk. */
export interface OnDisk {
  readonly path: string;
  create(): TempFile;
  /** A path that no other process can guess. */
  newPath(): string;
}

/** The abilities of one disk. */
export class DiskAbilities {
  readonly #workspace: OnDisk;
  readonly #options: DiskAbilitiesOptions;
  #hasLinks: boolean | undefined;
  #hasHoles: boolean | undefined;
  #refusedNames: RefusedNames | undefined;
  #lock: RenameLock | undefined;

  /** @param workspace What is made in it is removed at once. */
  constructor(workspace: OnDisk, options: DiskAbilitiesOptions) {
    this.#workspace = workspace;
    this.#options = options;
  }

  /** Whether it has hard links, as far as is known. */
  get hasLinks(): boolean {
    return this.#hasLinks ?? true;
  }

  /** Whether it has hard links. It is tried if that is not known. */
  findLinks(): boolean {
    if (this.#hasLinks === undefined) {
      this.#hasLinks = this.#tryLink();
      if (!this.#hasLinks) this.#warnOfRenames();
    }
    return this.#hasLinks;
  }

  /** Whether a link failed as the disk has no hard links. */
  lacksLinks(error: unknown): boolean {
    return isForLackOfLinks(error) && !this.findLinks();
  }

  /** What files are published with where there are no hard links. */
  async renameLock(): Promise<RenameLock> {
    const { RenameLock } = await import("./rename_lock.ts");
    const { disk, prefix } = this.#options;
    return this.#lock ??= new RenameLock(disk, this.#workspace.path, prefix);
  }

  /**
   * Removes a folder in which a dead server had files that were just to be published.
   *
   * @returns The names that the files have in the workspace now.
   */
  async emptyBox(path: string): Promise<string[]> {
    const moved = (await this.renameLock()).moveOut(path);
    this.#options.disk.removeSync(path);
    return moved;
  }

  /** Whether parts of a file can be left out. Where they cannot, growing a file writes zeros. */
  get hasHoles(): boolean {
    return this.#hasHoles ??= this.#tryHole();
  }

  /** What names cannot have; `undefined` if that cannot be tried now. */
  get refusedNames(): RefusedNames | undefined {
    if (this.#refusedNames) return this.#refusedNames;
    // The name of a folder that a sweep removes, if this process is killed.
    const folder = this.#workspace.newPath().replace(/\.temp$/, ".d");
    tryTo(() => this.#refusedNames = probeNames(this.#options.disk, folder));
    return this.#refusedNames;
  }

  #tryHole(): boolean {
    const temp = this.#workspace.create();
    try {
      temp.file.truncateSync(HOLE_BYTES);
      const { blocks } = temp.file.statSync();
      return blocks !== null && blocks * STAT_BLOCK_BYTES < HOLE_BYTES / 2;
    } catch {
      // Writing tells what is wrong, if anything is.
      return false;
    } finally {
      temp.discard();
    }
  }

  #tryLink(): boolean {
    const { disk } = this.#options;
    const temp = this.#workspace.create();
    const path = this.#workspace.newPath();
    try {
      disk.linkSync(temp.path, path);
      disk.removeSync(path);
      return true;
    } catch (error) {
      if (!isForLackOfLinks(error)) throw error;
      return false;
    } finally {
      temp.discard();
    }
  }

  #warnOfRenames(): void {
    const { prefix, warn } = this.#options;
    // Whoever downloads finds it in the documents.
    if (prefix !== "") return;
    warn(
      `the disk of ${
        quoted(this.#workspace.path)
      } has no hard links: a file that another program ` +
        "makes at the moment in which one of the same name is stored can be replaced",
    );
  }
}

function isForLackOfLinks(error: unknown): boolean {
  return NO_LINKS.includes(systemCode(error) ?? "");
}
