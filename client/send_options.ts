/**
 * The options of the client as a library.
 *
 * @module
 */

import type { LinkRule } from "../lib/store/link_rules.ts";
import type { ClientOptions } from "./dialer.ts";
import type { SendResult } from "./result.ts";
import type { WireOptions } from "./wire_options.ts";

/** Options of {@linkcode connect}. */
export interface ConnectOptions extends ClientOptions {
  /**
   * Gives the connecting up, with its reason. Later calls have signals of their own.
   *
   * @default {undefined}
   */
  signal?: AbortSignal | undefined;
}

/** Options of {@linkcode send}. */
export interface SendOptions extends ClientOptions, WireOptions {
  /**
   * Stops all transfers. `send()` then throws the reason of the signal, and every unfinished file has
   * an error `interrupted` with the reason as its `cause`.
   */
  signal?: AbortSignal;
  /**
   * Receives the server's answer, in modes that answer with data. A chunk is valid until the
   * returned promise settles. If it rejects, the transfer ends.
   *
   * @default discards it
   */
  output?: (chunk: Uint8Array) => Promise<void>;
  /**
   * Name of the mode, as in the table of modes.
   *
   * @default {"files"}
   */
  mode?: string;
  /**
   * Globs of files and folders to exclude: a pattern without a `/` matches names, one with a `/`
   * matches paths, relative to the folder that is sent or through it.
   *
   * @default {[]}
   */
  exclude?: readonly string[];
  /**
   * Which symbolic links of folders are sent: those that lead to something in the same folder, all, or
   * none. None is followed.
   *
   * @default {"tree"}
   */
  links?: LinkRule | undefined;
  /**
   * Whether to skip what the server has already: files with the same size, time and permissions, and
   * empty folders. `resume` and `retries` do so too; with `skipSame`, a file that cannot be compared
   * fails.
   *
   * @default {false}
   */
  skipSame?: boolean;
  /**
   * Whether the content of files is compared too, by CRC-32, whatever their times say. Implies
   * `skipSame`.
   *
   * @default {false}
   */
  checksum?: boolean;
  /** Called with the result of each file, as soon as it is known. */
  onResult?: (result: SendResult) => void;
}
