/**
 * The source at a path that a person gave: a regular file, a pipe, a device, or standard input.
 *
 * @module
 */

import { basename } from "@std/path/basename";
import { InletError } from "../errors.ts";
import { quoted } from "../text.ts";
import type { Waiting } from "./pipe.ts";
import { FileSource, unusable } from "./sources.ts";
import { readStdin } from "./stdio.ts";
import { type StreamReader, type StreamSource, streamSource } from "./stream_source.ts";

/** What can be at a path. */
type PathSource = FileSource | StreamSource;

/**
 * Returns the source at a path.
 *
 * @param as The name sent to the peer, as in {@linkcode nameAs}.
 * @throws {InletError} `usage` if the path cannot be read, or is a folder
 */
export function pathSource(path: string, as?: string, waiting?: Waiting): PathSource {
  const source = sourceAt(path, as, waiting);
  if (source !== "folder") return source;
  throw new InletError("usage", `Cannot send ${quoted(path)}: it is a folder, give files`);
}

/**
 * Returns the source at a path, or `"folder"`. A symbolic link is followed, because the user named
 * it.
 *
 * @param as The name sent to the peer, as in {@linkcode nameAs}.
 * @param waiting What happens while a pipe waits for its writer.
 * @throws {InletError} `usage` if the path cannot be read
 */
export function sourceAt(
  path: string,
  as?: string,
  waiting: Waiting = {},
): PathSource | "folder" {
  const name = nameAs(basename(path), as);
  if (isStdin(path)) return streamSource(path, name, () => STDIN);
  const info = measure(path);
  if (info.isDirectory) return "folder";
  if (info.isSocket) throw new InletError("usage", `Cannot send ${quoted(path)}: it is a socket`);
  if (info.isFile && !hidesSize(path, info)) return new FileSource(path, name, info);
  return streamSource(path, name, async () => {
    // Loaded on demand, because few sources are pipes.
    const { openPipe } = await import("./pipe.ts");
    return await openPipe(path, waiting).catch((error) => {
      throw waiting.signal?.aborted ? error : unusable(error, path);
    });
  });
}

/**
 * The name sent to the peer.
 *
 * @param own The last part of the path.
 * @param as Another name. With a `/` at its end, it is a folder, in which the file keeps its own.
 */
export function nameAs(own: string, as = ""): string {
  return as === "" || as.endsWith("/") ? as + own : as;
}

/** Whether a path ends with a name. `.` and `..` stand for another one. */
export function isNamed(path: string): boolean {
  return !(IS_WINDOWS ? /(^|[/\\])\.{1,2}[/\\]*$/ : /(^|\/)\.{1,2}\/*$/).test(path);
}

/** What the standard input is called. */
export const STDIN_LABEL = "standard input";

/** Returns standard input as a source with a name. */
export function stdinSource(name: string): StreamSource {
  return streamSource(STDIN_LABEL, name, () => STDIN);
}

/** Where a backslash separates the parts of a path, too. */
const IS_WINDOWS = Deno.build.os === "windows";

const STDIN: StreamReader = { read: readStdin, close: () => {} };

/** Whether a path is standard input, which needs no permission. */
export function isStdin(path: string): boolean {
  return path === "/dev/stdin" || path === "/dev/fd/0";
}

/**
 * Whether a regular file of the system does not tell its size: /proc gives 0, and /sys a whole page.
 * It is read to its end.
 */
function hidesSize(path: string, { size }: Deno.FileInfo): boolean {
  if (size % 4096 !== 0 || Deno.build.os !== "linux") return false;
  // Otherwise Deno would not have measured it; and it would ask for more permissions here.
  const isPermitted = ALL.every((name) => Deno.permissions.querySync({ name }).state === "granted");
  return isPermitted && /^\/(proc|sys)\//.test(Deno.realPathSync(path));
}

const ALL = ["read", "write", "net", "env", "sys", "run", "ffi"] as const;

/**
 * Synchronous, because an asynchronous call takes ten times as long, and there may be thousands.
 */
function measure(path: string): Deno.FileInfo {
  if (path === "") throw new InletError("usage", "Cannot send a file without a name");
  try {
    return Deno.statSync(path);
  } catch (error) {
    const why = whyNothing(error, path);
    if (why === undefined) throw unusable(error, path);
    throw new InletError("usage", `Cannot send ${quoted(path)}: ${why}`, { cause: error });
  }
}

/** Why nothing is at a path that has an entry all the same. */
function whyNothing(error: unknown, path: string): string | undefined {
  const isNothing = error instanceof Deno.errors.NotFound ||
    error instanceof Deno.errors.NotADirectory;
  if (!isNothing) return undefined;
  try {
    const { isSymlink, isFile } = Deno.lstatSync(path.replace(IS_WINDOWS ? /[/\\]+$/ : /\/+$/, ""));
    if (isSymlink) return "it is a symbolic link that leads to nothing";
    return isFile ? "it is a file, and no folder" : undefined;
  } catch {
    return undefined;
  }
}
