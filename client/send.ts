/**
 * Sends files and folders, for the library and for the command line.
 *
 * @module
 */

import type { ServerAddress } from "../lib/net/connect.ts";
import { type Item, pathSource, stdinSource } from "../lib/body/sources.ts";
import { Dialer, type DialerOptions } from "./dialer.ts";
import { pathItems } from "./path_items.ts";
import type { SendResult } from "./result.ts";
import { sendAll } from "./send_queue.ts";
import type { Mode } from "../modes/mode.ts";
import { findMode } from "../modes/table.ts";

export type { SendResult } from "./result.ts";

/** Options of {@linkcode send}. */
export interface SendOptions extends DialerOptions {
  /**
   * Name of the mode, as in the table of modes.
   *
   * @default {"files"}
   */
  mode?: string;
  /**
   * Globs of entries to exclude from folders: a pattern without a `/` matches names, one with a `/`
   * matches paths relative to the folder.
   *
   * @default {[]}
   */
  exclude?: readonly string[];
  /**
   * Whether to skip files that the server has already, with the same size and time, or the same size
   * and CRC-32. `resume` and `retries` do so too; with `skipSame`, a file that cannot be compared
   * fails.
   *
   * @default {false}
   */
  skipSame?: boolean;
  /**
   * Called with the result of each file, as soon as it is known. If the callback throws, the first
   * such error is rethrown after all files are done.
   */
  onResult?: (result: SendResult) => void;
}

/**
 * Sends files, and folders with their contents, in order.
 *
 * @param files Paths of files and folders.
 * @returns One result for each file and each empty folder. An item counts as sent once the server
 * acknowledges it.
 * @throws {InletError} `usage` if a path cannot be sent at all; nothing is sent in that case
 */
export async function send(
  address: ServerAddress,
  files: readonly string[],
  options: SendOptions = {},
): Promise<SendResult[]> {
  const mode = findMode(options.mode ?? "files");
  return await sendFiles(new Dialer(address, options), files, { ...options, mode });
}

/** {@linkcode SendOptions} with the mode itself instead of its name. */
export interface SendFilesOptions extends Omit<SendOptions, "mode"> {
  readonly mode: Mode;
}

/**
 * Like {@linkcode send}, with what only the command line supports: `-` for the standard input.
 *
 * @param typed.as The name to store under, instead of the last part of the path.
 */
export async function sendFiles(
  dialer: Dialer,
  files: readonly string[],
  options: SendFilesOptions,
  typed?: { as: string | undefined },
): Promise<SendResult[]> {
  const results: SendResult[] = [];
  const thrown: unknown[] = [];
  const report = (result: SendResult): void => {
    results.push(result);
    try {
      options.onResult?.(result);
    } catch (error) {
      // An error in the caller's callback must not count as a failed file.
      thrown.push(error);
    }
  };
  const { mode, skipSame = false, exclude, signal, onNotice } = options;
  const isOneWay = mode.send !== undefined;
  const as = typed?.as;
  const itemsAt = async (path: string): Promise<Item[]> => {
    if (typed && path === "-") return [stdinSource(as ?? "")];
    if (isOneWay) return [await pathSource(path, as)];
    return await pathItems(path, {
      as,
      exclude,
      signal,
      onSkip: (text) => onNotice?.(text),
      onFailure: (label, error) => report({ label, folder: path, error }),
    });
  };
  const named = await Promise.all(
    files.map(async (path) => ({ path, items: await itemsAt(path) })),
  );
  const items = typed && files.length > 1
    ? (await import("./repeated_paths.ts")).withoutRepeats(named, (text) => onNotice?.(text))
    : named.flatMap(({ items }) => items);
  await sendAll(dialer, items, {
    mode,
    skipSame,
    onResult: ({ label, folder }, result) =>
      report({ label, ...(folder !== undefined && { folder }), ...result }),
  });
  if (thrown.length > 0) throw thrown[0];
  return results;
}
