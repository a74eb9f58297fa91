/**
 * What the client half of a conversation may use.
 *
 * @module
 */

import type { Progress } from "./progress.ts";

/** What one conversation of the client is given. */
export interface ClientContext {
  readonly progress: Progress;
  /** Takes the data that a server answers, on wires that answer with data. */
  output(chunk: Uint8Array): Promise<void>;
  /** The key, for servers that require one. */
  readonly key?: string | undefined;
  /** Called with each note that the server sends. */
  readonly onNote?: (text: string) => void;
  /** Whether both sides keep a partial file when the connection is lost, and continue it later. */
  readonly resume?: boolean;
  /**
   * Called when a transfer continues a partial file, with the bytes that are kept; 0 where the
   * partial file belongs to another version of the file.
   */
  readonly onResume?: (label: string, offset: number, size: number) => void;
}
