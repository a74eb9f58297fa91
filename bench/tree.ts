/**
 * A real tree: a copy of a folder of this machine, made once, and compared with what became of it.
 *
 * @module
 */

import { crc32 } from "node:zlib";
import { Unavailable } from "./compare.ts";
import type { Content, Workspace } from "./workspace.ts";

/** A folder to send, with everything in it. */
export interface Tree {
  /** Path of the copy. */
  readonly path: string;
  /** The last part of its path. */
  readonly name: string;
  /** The directory that has it, and nothing else. */
  readonly parent: string;
  /** The content of each file, by its path in the tree. */
  readonly files: ReadonlyMap<string, Content>;
  /** Bytes of all files. */
  readonly bytes: number;
}

let made: Tree | undefined;

/**
 * Copies a folder into the workspace, once for all who ask.
 *
 * @throws {Unavailable} if there is no such folder
 */
export function treeOf(workspace: Workspace, folder: string): Tree {
  if (made) return made;
  const parent = workspace.directory();
  const name = folder.split("/").findLast((part) => part !== "") ?? "";
  const path = `${parent}/${name}`;
  const { success } = new Deno.Command("cp", { args: ["-a", folder, path] }).outputSync();
  if (!success) throw new Unavailable(`${folder} could not be copied`);
  const files = contentsOf(path);
  const bytes = files.values().reduce((sum, { size }) => sum + size, 0);
  return made = { path, name, parent, files, bytes };
}

/**
 * Compares a tree with the one that was sent, file by file.
 *
 * @throws {Error} if a file is missing, or differs, or there is one more
 */
export function verifyTree(path: string, { files }: Pick<Tree, "files">): void {
  const there = contentsOf(path);
  for (const [name, { size, crc }] of files) {
    const made = there.get(name);
    if (!made) throw new Error(`it made no ${name}`);
    if (made.size !== size || made.crc !== crc) throw new Error(`it made another ${name}`);
  }
  if (there.size !== files.size) throw new Error(`it made ${there.size} files, not ${files.size}`);
}

function contentsOf(folder: string): Map<string, Content> {
  const contents = new Map<string, Content>();
  const visit = (below: string): void => {
    for (const { name, isFile, isDirectory } of Deno.readDirSync(folder + below)) {
      const path = `${below}/${name}`;
      if (isDirectory) visit(path);
      if (!isFile) continue;
      const content = Deno.readFileSync(folder + path);
      contents.set(path, { size: content.length, crc: crc32(content) });
    }
  };
  visit("");
  return contents;
}
