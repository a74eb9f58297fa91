/**
 * A real tree: a copy of a folder of this machine, made once, and compared with what became of it.
 *
 * @module
 */

import { crc32 } from "node:zlib";
import { leadsOut } from "../lib/store/link_rules.ts";
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
  /** What else is kept of each file, folder and link, by its path in the tree. */
  readonly facts?: ReadonlyMap<string, string> | undefined;
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
  return made = { path, name, parent, files, bytes, facts: factsOf(path) };
}

/**
 * Compares a tree with the one that was sent: names, contents, and where they are known, times,
 * permission bits, and the targets of links.
 *
 * @throws {Error} if something is missing, or differs, or there is one file more
 */
export function verifyTree(path: string, { files, facts }: Pick<Tree, "files" | "facts">): void {
  const there = contentsOf(path);
  for (const [name, { size, crc }] of files) {
    const made = there.get(name);
    if (!made) throw new Error(`it made no ${name}`);
    if (made.size !== size || made.crc !== crc) throw new Error(`it made another ${name}`);
  }
  if (there.size !== files.size) throw new Error(`it made ${there.size} files, not ${files.size}`);
  if (!facts) return;
  const made = factsOf(path);
  for (const [name, fact] of facts) {
    if (made.get(name) !== fact) throw new Error(`${name}: ${made.get(name)}, and not ${fact}`);
  }
}

/** Time and permission bits of files and folders, and targets of links that stay in the tree. */
function factsOf(folder: string): Map<string, string> {
  const facts = new Map<string, string>();
  const visit = (below: string): void => {
    for (const { name, isDirectory, isSymlink } of Deno.readDirSync(folder + below)) {
      const path = `${below}/${name}`;
      const target = isSymlink ? Deno.readLinkSync(folder + path) : undefined;
      // inlet leaves out the others, unless it is asked for them.
      if (target !== undefined && leadsOut(path.slice(1), target)) continue;
      const { mode, mtime } = Deno.lstatSync(folder + path);
      // Nothing above these bits travels, and the receiver's umask takes some.
      const bits = isSymlink ? "" : (mode! & 0o755).toString(8);
      facts.set(path, `${target ?? ""} ${bits} ${mtime?.toISOString()}`);
      if (isDirectory) visit(path);
    }
  };
  visit("");
  return facts;
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
