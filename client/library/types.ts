/**
 * What programs see of a client that stays connected.
 *
 * @module
 */

import type { ClientFacts, Stored } from "../../protocol.ts";

/**
 * What is sent: a stream, bytes in memory, or the file at a path of this machine. A text is no body, as it
 * could be either: `new TextEncoder().encode(text)` makes one of it.
 */
export type SentBody =
  | ReadableStream<Uint8Array>
  | Blob
  | Uint8Array
  | FileAtPath;

/** A file of this machine. A pipe or a device is read to its end. */
export interface FileAtPath {
  /** Its path, or a `file:` URL. */
  readonly path: string | URL;
}

/** Options of every call. */
export interface CallOptions {
  /**
   * Gives the call up: it rejects at once, with the reason of the signal. What the server has received
   * by then it may do all the same.
   *
   * @default {undefined}
   */
  signal?: AbortSignal | undefined;
}

/** How far a transfer is. */
export interface TransferProgress {
  /** Bytes that have moved, with those that the other side had already. It starts over with a retry. */
  readonly bytes: number;
  /** Bytes of the whole, if that is known. */
  readonly size: number | undefined;
}

/** Options of a transfer. */
export interface TransferOptions extends CallOptions {
  /**
   * Called as bytes move. An error that it throws, or that its promise rejects with, ends the call, once
   * the transfer is over.
   *
   * @default {undefined}
   */
  onProgress?: ((progress: TransferProgress) => void) | undefined;
}

/** Options of {@linkcode Client.get}. */
export interface GetOptions extends TransferOptions {
  /**
   * The beginning of the file that the program has already: the body is the rest then, and the checksum
   * that of the whole. If the server's file does not begin with it, the call rejects with `changed`.
   *
   * @default {undefined}
   */
  kept?: KeptBeginning | undefined;
}

/** The beginning of a file. */
export interface KeptBeginning {
  /** How many bytes it has. */
  readonly bytes: number;
  /** Their CRC-32, as `crc32()` of node:zlib computes it. */
  readonly crc: number;
}

/** Options of {@linkcode Client.say}. */
export interface SayOptions extends TransferOptions {
  /**
   * Bytes of a stream, if they are known. A stream with fewer or more fails with `changed`.
   *
   * @default {undefined}
   */
  size?: number | undefined;
}

/** Options of {@linkcode Client.put}. */
export interface PutOptions extends SayOptions {
  /**
   * Time of the last change that the server's file gets. A file at a path has its own.
   *
   * @default {undefined}
   */
  modified?: Date | undefined;
  /**
   * Permission bits that the server's file gets, like `0o644`. A file at a path has its own.
   *
   * @default {undefined}
   */
  mode?: number | undefined;
}

/** What is known of a downloaded file at its end. */
export interface Verified {
  /** CRC-32 of its content, which is that of the server's. */
  readonly crc: number;
  /** Time of the last change, if the server has one. */
  readonly modified: Date | undefined;
  /** Permission bits, if the server has them. */
  readonly mode: number | undefined;
}

/** A file on its way from the server. */
export interface Download {
  /** Its name on the server. */
  readonly name: string;
  /** Bytes of the whole file. */
  readonly size: number;
  /**
   * Its content, or the rest of it. It ends only if the checksum of all of it is right, and fails
   * otherwise; what was read until then is then worth nothing. Up to a MiB is received ahead. While more
   * than that is not read, no other request of the client begins: read it, or cancel it, which stops the
   * server. Where other requests wait for longer than `timeoutMs`, a body of which nothing is read fails
   * with `timeout`.
   */
  readonly body: ReadableStream<Uint8Array<ArrayBuffer>>;
  /** Settles at the end of the body; rejects if that fails or is cancelled. It need not be handled. */
  readonly verified: Promise<Verified>;
}

/** A file, folder or symbolic link on the server. */
export interface Entry {
  /** Its name, with the folders that it is in: `photos/a.jpg`. */
  readonly name: string;
  /** What it is. */
  readonly kind: "file" | "folder" | "link";
  /** In bytes; only files have one. */
  readonly size: number | undefined;
  /** Time of the last change. */
  readonly modified: Date;
  /** Permission bits, if the server tells them. */
  readonly mode: number | undefined;
  /** Where a link leads to. */
  readonly target: string | undefined;
}

/**
 * A client that stays connected to one server. Dispose of it to disconnect: what is under way then, and
 * later calls, reject with `closed`.
 *
 * Calls may be made at the same time. The server gets their requests one after another, in the order of
 * the calls; small puts that follow each other go together. Where the connection ended between two
 * requests, the next one makes another. Every method rejects with an `InletError`, which has a `code`, or
 * with the reason of its signal.
 */
export interface Client extends AsyncDisposable {
  /**
   * Stores a file. It resolves once the server has verified and published it.
   *
   * A stream is read once, and cancelled if the put fails. With `resume` or `retries`, a file at a path of
   * at least a MiB continues what an earlier put of it has left on the server.
   *
   * @param name Its name on the server, which may contain folders. If that is taken, the result has
   * another one: no file is ever replaced.
   */
  put(name: string, body: SentBody, options?: PutOptions): Promise<Stored>;
  /**
   * Requests a file. It resolves once the content begins to arrive; the signal and `onProgress` hold until
   * its end. With `retries`, a body goes on where a lost connection broke it off.
   */
  get(name: string, options?: GetOptions): Promise<Download>;
  /**
   * Lists the files of the server. It is requested when the first entry is; {@linkcode Array.fromAsync}
   * makes an array of it. A list that is not read to its end may be left at any point.
   */
  list(options?: CallOptions): AsyncGenerator<Entry, void>;
  /**
   * Lists a folder and everything below it in the same way, or one file.
   *
   * @param name By default everything.
   */
  tree(name?: string, options?: CallOptions): AsyncGenerator<Entry, void>;
  /**
   * Lists the clients of this run of the server, also those that have left, up to a thousand, in order of
   * arrival.
   */
  status(options?: CallOptions): Promise<ClientFacts[]>;
  /** Writes a message to the server's stdout. It resolves once it is written. */
  say(message: string | SentBody, options?: SayOptions): Promise<void>;
  /** Says one line of at most 4,091 bytes, which the server's log has. It resolves once it is heard. */
  chat(text: string, options?: CallOptions): Promise<void>;
  /**
   * Makes a folder and its parents, as far as they are missing.
   *
   * @returns Its name on the server, which differs if a file has the name.
   */
  mkdir(name: string, options?: CallOptions): Promise<string>;
  /**
   * Asks for a file with the same content under a name, or under that name with a number. A file at a path
   * is taken for the same by its size and time alone, if these are: it is read only where they leave it
   * open.
   *
   * @returns The name of the server's file; `undefined` if there is none.
   */
  compare(
    name: string,
    body: Exclude<SentBody, ReadableStream<Uint8Array>>,
    options?: CallOptions,
  ): Promise<string | undefined>;
}
