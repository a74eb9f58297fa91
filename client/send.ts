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
   * Name of the conversation, as in the table of modes.
   *
   * @default {"files"}
   */
  mode?: string;
  /**
   * Globs of what is left out of folders: a pattern without a `/` is for names, one with a `/` for
   * paths below the folder.
   *
   * @default {[]}
   */
  exclude?: readonly string[];
  /**
   * Whether files that the server has already, the same by size, time and CRC-32, are left out.
   *
   * @default {false}
   */
  skipSame?: boolean;
  /** Told how each file fared, as soon as that is known. What it throws is thrown once all is done. */
  onResult?: (result: SendResult) => void;
}

/**
 * Sends files, and folders with all that is in them, in order.
 *
 * @param files Paths of files and folders.
 * @returns One result a file, and one an empty folder. It is a success only after the server's
 * acknowledgement.
 * @throws {InletError} `usage` if one of the paths cannot be sent at all: nothing was sent then
 */
export async function send(
  address: ServerAddress,
  files: readonly string[],
  options: SendOptions = {},
): Promise<SendResult[]> {
  const mode = findMode(options.mode ?? "files");
  return await sendFiles(new Dialer(address, options), files, { ...options, mode });
}

/** The same, with the mode itself in place of its name. */
export interface SendFilesOptions extends Omit<SendOptions, "mode"> {
  readonly mode: Mode;
}

/**
 * The same, with what the command line can do beside.
 *
 * @param typed.as The name for the other side, instead of the last part of the path.
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
      // A defect of the caller's is no failure of a file.
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
  const items = (await Promise.all(files.map(itemsAt))).flat();
  await sendAll(dialer, items, {
    mode,
    skipSame,
    onResult: ({ label, folder }, result) =>
      report({ label, ...(folder !== undefined && { folder }), ...result }),
  });
  if (thrown.length > 0) throw thrown[0];
  return results;
}
