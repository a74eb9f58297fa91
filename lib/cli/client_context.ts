/**
 * The services that the client half of a conversation uses.
 *
 * @module
 */

import type { Progress } from "./progress.ts";

/** The services of one conversation of the client. */
export interface ClientContext {
  readonly progress: Progress;
  /** Writes data that the server returns, on wires that return data. */
  output(chunk: Uint8Array): Promise<void>;
  /**
   * Milliseconds of silence after which a server is given up.
   *
   * @default {30_000}
   */
  readonly timeoutMs?: number | undefined;
  /** The key, for servers that require one. */
  readonly key?: string | undefined;
  /** Called with each note that the server sends. */
  readonly onNote?: (text: string) => void;
  /** Whether both peers keep the partial file of a lost connection, to resume it later. */
  readonly resume?: boolean;
  /** The tickets of interrupted uploads, by the source: they outlive a connection. */
  readonly tickets?: WeakMap<object, string>;
  /**
   * Gives an item an id of its own, the same in each attempt, so that the server stores it once.
   * Missing if no item is sent again.
   */
  readonly uploadId?: ((item: object) => string) | undefined;
  /**
   * Called when a transfer resumes a partial file, with the number of bytes that are kept; 0 if the
   * partial file belongs to another version of the file.
   */
  readonly onResume?: (label: string, offset: number, size: number) => void;
}
