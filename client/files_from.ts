/**
 * `--files-from`: the paths to send, or the names to get of a folder, that a list holds.
 *
 * A line of the list is one path. With `--null`, each ends with a NUL instead, and may hold line breaks.
 * A module of its own, because most commands have no list.
 *
 * @module
 */

import { decodeText } from "../lib/auth/key.ts";
import { isStdin } from "../lib/body/path_source.ts";
import { unlessAborted, waitFor, type Waiting, waitText } from "../lib/body/pipe.ts";
import { ensurePermissions } from "../lib/cli/permissions.ts";
import { explain, InletError } from "../lib/errors.ts";
import { formatBytes, formatCount, quoted } from "../lib/text.ts";
import { ListedNames, ListedPaths } from "./listed.ts";
import { type FilesFrom, needsOf, type Plan } from "./plan.ts";

/** Largest list in bytes: it is held in memory. */
const MAX_LIST_BYTES = 256 * 1024 * 1024;

/**
 * Reads the list of a plan, and puts what it names into the plan. The permissions for that are
 * ensured.
 *
 * @returns `undefined` if there is nothing to transfer, which is told.
 * @throws {InletError} `usage` if the list cannot be read, or is none
 */
export async function withList(
  plan: Plan,
  from: FilesFrom,
  waiting: Waiting,
): Promise<Plan | undefined> {
  const { action } = plan;
  const paths = await readList(from, waiting);
  const isEmpty = paths.length === 0;
  if (isEmpty) waiting.onNotice?.(`${listAt(from)} is empty`);
  if (action.type !== "get" && action.type !== "send") return plan;
  if (isEmpty && (action.type === "get" || action.files.length === 0)) {
    if (plan.json) {
      const { JsonReport } = await import("./json_report.ts");
      await new JsonReport(action, plan.mode.name).end();
    }
    return undefined;
  }
  if (action.type === "get") {
    return { ...plan, action: { ...action, listed: new ListedNames(paths) } };
  }
  const listed = new ListedPaths(paths, await readsOf(paths), action.as);
  const all = { ...plan, action: { ...action, listed } };
  await ensurePermissions(needsOf(all));
  return all;
}

/** Such as `The list "photos.txt"`. */
function listAt({ path }: FilesFrom): string {
  return path === "-" ? "The list on the standard input" : `The list ${quoted(path)}`;
}

/** The paths in a list, without the empty ones. */
async function readList(from: FilesFrom, waiting: Waiting): Promise<string[]> {
  const list = listAt(from).replace("The", "the");
  const bytes = await unlessAborted(readBytes(from, waiting), waiting.signal).catch((error) => {
    waiting.signal?.throwIfAborted();
    const { message, cause } = explain(error, `Cannot read ${list}`);
    throw new InletError("usage", message, { cause });
  });
  const text = decodeText(bytes, `Cannot use ${list}`);
  if (from.isNull) return text.split("\0").filter((path) => path !== "");
  if (text.includes("\0")) {
    throw new InletError("usage", `Cannot use ${list}: it has NULs; give --null (-0) too`);
  }
  const lines = text.split("\n").map((line) => line.replace(/\r$/, ""));
  // What ends the last line begins no other one.
  if (lines.at(-1) === "") lines.pop();
  const paths = lines.filter((path) => path !== "");
  const empty = lines.length - paths.length;
  const what = empty === 1 ? "1 empty line" : `${formatCount(empty)} empty lines`;
  if (empty > 0) waiting.onNotice?.(`Skipped ${what} of ${list}`);
  return paths;
}

async function readBytes(from: FilesFrom, waiting: Waiting): Promise<Uint8Array> {
  const { path } = from;
  const isHere = path === "-" || isStdin(path);
  const stream = isHere
    ? Deno.stdin.readable
    : (await waitFor(Deno.open(path), waitText(path), waiting, (late) => late.close())).readable;
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  for await (const chunk of stream) {
    size += chunk.length;
    if (size > MAX_LIST_BYTES) {
      const limit = `it has more than ${formatBytes(MAX_LIST_BYTES)}`;
      throw new InletError("usage", `Cannot use ${listAt(from).replace("The", "the")}: ${limit}`);
    }
    chunks.push(chunk);
  }
  return await new Blob(chunks).bytes();
}

/** What Deno is asked to read: the paths where it may already, and else the folders that they are in. */
async function readsOf(paths: readonly string[]): Promise<readonly string[]> {
  const isGranted = (path?: string): boolean =>
    Deno.permissions.querySync({ name: "read", ...path !== undefined && { path } }).state ===
      "granted";
  if (paths.length === 0 || isGranted() || paths.every(isGranted)) return paths;
  const { commonFolders } = await import("../lib/cli/common_folders.ts");
  return commonFolders(paths, Deno.cwd());
}
