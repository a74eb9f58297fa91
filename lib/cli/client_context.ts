/**
 * The services that the client half of a conversation uses.
 *
 * @module
 */

import type { GrowthOptions, SentFolders } from "../body/sources.ts";
import type { Step } from "../net/dialogue_steps.ts";
import type { RateLimit } from "../net/rate_limit.ts";
import type { Fields } from "../../protocol.ts";
import type { Progress } from "./progress.ts";

/** Settings of the wires of other programs. */
export interface ClientWire {
  /** Steps in front of the body. */
  readonly dialogue: readonly Step[];
  /** Milliseconds to wait for the server to close; the limit on silence if it is missing. */
  readonly lingerMs: number | undefined;
  /** Whether each line is sent without its ending, and its answer awaited, in mode `reverse`. */
  readonly lockStep: boolean;
  /** What is sent after the last line in lock-step. */
  readonly end: Uint8Array<ArrayBuffer> | undefined;
  /** Whether each message ends with a line ending, in mode `talk`. */
  readonly lineEnd: boolean;
  /** Milliseconds after which an answer or a file without a known end is complete. */
  readonly lineGapMs: number;
  /** What follows a file in mode `talk`; empty for nothing. */
  readonly getMarker: Uint8Array<ArrayBuffer>;
  /** Whether a file is asked for by its bare name in mode `talk`. */
  readonly bareNames: boolean;
  /** Whether a file is kept whose end the wire cannot prove. */
  readonly acceptUnproved: boolean;
}

/** The services of one conversation of the client. */
export interface ClientContext extends GrowthOptions {
  readonly progress: Progress;
  /** Writes data that the server returns, on wires that return data. */
  output(chunk: Uint8Array): Promise<void>;
  /**
   * Milliseconds of silence after which a server is given up.
   *
   * @default {30_000}
   */
  readonly timeoutMs?: number | undefined;
  /** The client's own limit on bytes per second. */
  readonly rate?: RateLimit | undefined;
  /** Answers a challenge, for servers that require a key. */
  readonly prove?: ((nonce: string) => Promise<string>) | undefined;
  /** Called with each note that the server sends. */
  readonly onNote?: (text: string) => void;
  /**
   * Called with each line that may be none of a reply. Returns whether it was one that comes unasked,
   * to a client that attends.
   */
  readonly onUnasked?: (line: string) => boolean;
  /** Called with notices for the user. */
  onNotice?(text: string): void;
  /** Called, instead of `onNote`, with a note that warns of a failure to come. */
  readonly onWarning?: (text: string) => void;
  /** Whether both peers keep the partial file of a lost connection, to resume it later. */
  readonly resume?: boolean;
  /** The tickets of interrupted uploads, by the fingerprint of the file: they outlive a connection. */
  readonly tickets?: Map<string, string>;
  /**
   * Gives an item an id of its own, the same in each attempt, so that the server stores it once.
   * Missing if no item is sent again.
   */
  readonly uploadId?: ((item: object) => string) | undefined;
  /** Further fields of the greeting. */
  readonly greeting?: (() => Fields) | undefined;
  /** The folders that this run sends, where it may take several connections. */
  readonly sentFolders?: SentFolders | undefined;
  /**
   * Called when a transfer resumes a partial file, with the number of bytes that are kept; 0 if the
   * partial file belongs to another version of the file.
   */
  readonly onResume?: (label: string, offset: number, size: number) => void;
}

/** The services of one conversation on a wire of other programs. */
export interface WireContext extends ClientContext {
  /** Whether to ask first for all that is there already. */
  readonly compares: () => boolean;
  readonly wire: ClientWire;
  /** Called with notices for the user. */
  onNotice(text: string): void;
}
