/**
 * What the operator of a server has done with each file that it has stored.
 *
 * @module
 */

import type { Stored } from "../../protocol.ts";
import { InletError } from "../errors.ts";
import { formatCount, formatSeconds, quoted } from "../text.ts";
import { DirectoryStore } from "../store/directory.ts";
import type { Store } from "../store/store.ts";
import type { Subject } from "./clients.ts";
import type { Log } from "./log.ts";

/** A client of the server, as programs are told of it. */
export interface ServedClient {
  /** Numbered from 1 in each run of the server, in order of admission. */
  readonly number: number;
  /** What it calls itself; empty on wires without names. */
  readonly name: string;
  /** `HOST:PORT`, or `unix:N` at a Unix socket. */
  readonly address: string;
  /** The user that it has proved to be, on a server with users. */
  readonly user: string | undefined;
  /** `native`, `upload`, `http`, `page`, or the mode that it was served in. */
  readonly wire: string;
}

/** A file that a server has stored. */
export interface ReceivedFile {
  /** Its name on the server, folders included. */
  readonly name: string;
  /** Its absolute path; missing where the store is no directory. */
  readonly path?: string | undefined;
  /** Its address, `s3://BUCKET/KEY`; missing where the store is no bucket. */
  readonly url?: string | undefined;
  /** In bytes. */
  readonly size: number;
  /** CRC-32 of its content. */
  readonly crc: number;
  /** The client that sent it. */
  readonly client: ServedClient;
}

/**
 * Is called once for each file, as soon as it has its name. Nothing waits for what it returns, except
 * the end of the server.
 *
 * @param signal Aborted when the server stops without waiting any longer.
 */
export type OnStored = (file: ReceivedFile, signal: AbortSignal) => unknown;

/** What a {@linkcode StoredHook} has to know of its server. */
export interface StoredHookOptions {
  readonly log: Log;
  /** The wire of clients that have no other: the mode. */
  readonly wire: string;
  readonly store: Store;
  /** The address of the bucket, if the store is one. */
  readonly bucket?: string | undefined;
}

/**
 * What programs are told of a client.
 *
 * @param wire That of clients that have no other.
 */
export function knownClient(subject: Subject, wire: string): ServedClient {
  const { number = 0, name, address, user } = subject;
  return { number, name, address, user: user?.name, wire: subject.wire ?? wire };
}

/** Has a server call a function for each stored file, if there is one. */
export function hookOf(
  call: OnStored | undefined,
  options: StoredHookOptions,
): StoredHook | undefined {
  return options.log.feed.hook = call && new StoredHook(call, options);
}

/** Calls a function for each stored file, and keeps account of the calls. */
export class StoredHook {
  readonly #call: OnStored;
  readonly #options: StoredHookOptions;
  /** Calls that have not ended. There can be very many. */
  #running = 0;
  #onIdle = (): void => {};
  readonly #end = new AbortController();

  constructor(call: OnStored, options: StoredHookOptions) {
    this.#call = call;
    this.#options = options;
  }

  /** Begins a call. What it throws is logged. */
  stored({ name, size, crc }: Stored, sender: Subject): void {
    const { store, bucket, wire } = this.#options;
    const client = knownClient(sender, wire);
    const path = store instanceof DirectoryStore ? store.pathOf(name) : undefined;
    const url = bucket && `${bucket}/`.replace(/(?<=[^:/])\/+/g, "/") + name;
    const file = { name, path, ...url && { url }, size, crc, client };
    this.#run(file, sender);
  }

  /**
   * Settles as another promise does, once no call is running.
   *
   * @param served If it fails, the calls are told to end at once.
   */
  async after(served: Promise<void>): Promise<void> {
    try {
      await served;
    } catch (error) {
      this.abort();
      throw error;
    } finally {
      while (this.#running > 0) await new Promise<void>((resolve) => this.#onIdle = resolve);
    }
  }

  /** Tells the calls to end after so many milliseconds, unless this is disposed of before. */
  abortAfter(ms: number): Disposable {
    if (this.#running > 0 && ms > 0) {
      const whose = this.#running === 1 ? "1 hook has" : `${formatCount(this.#running)} hooks have`;
      const message = `stopping: ${whose} ${formatSeconds(ms)} s to end`;
      this.#options.log.info("stopping", message, { ms });
    }
    const timer = setTimeout(() => this.abort(), ms);
    return { [Symbol.dispose]: () => clearTimeout(timer) };
  }

  /** Tells the calls to end. */
  abort(): void {
    this.#end.abort(new InletError("shutdown", "The server is shutting down"));
  }

  async #run(file: ReceivedFile, sender: Subject): Promise<void> {
    this.#running++;
    const since = performance.now();
    try {
      // Not within the work for the client.
      await Promise.resolve();
      await this.#call(file, this.#end.signal);
    } catch (error) {
      const ms = Math.round(performance.now() - since);
      // As it is: the log is read by those whose function it is.
      const why = error instanceof Error ? error.message : String(error);
      const message = `the hook for ${quoted(file.name)} failed: ${why}`;
      this.#options.log.forClient(sender).warn("hook-failed", message, { file: file.name, ms });
    }
    if (--this.#running === 0) this.#onIdle();
  }
}
