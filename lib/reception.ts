/**
 * The server's side of a body that comes in: stored as it is, or on the native wire verified and
 * acknowledged, or refused with the conversation still in step.
 *
 * @module
 */

import { type BodyLine, encodeReply, formatStored, type Stored } from "../protocol.ts";
import type { ServerContext } from "./mode.ts";
import { checkSize } from "./access.ts";
import { checkCrc, receiveBody } from "./bodies.ts";
import type { Connection } from "./connection.ts";
import { encodeError, explain, InletError } from "./errors.ts";
import { Tally } from "./streams.ts";

/** Most bytes of a refused body that are read past before the connection is closed instead. */
const MAX_SKIPPED_BYTES = 64 * 1024 * 1024;

/** Stores a body that has neither a checksum nor an answer. */
export async function storeBody(
  body: ReadableStream<Uint8Array>,
  target: Target,
  what: string,
  { maxBytes, log }: ServerContext,
): Promise<void> {
  const tally = new Tally();
  const write = (chunk: Uint8Array): void | Promise<void> => {
    tally.add(chunk);
    checkSize(what, tally.bytes, maxBytes);
    return target.write(chunk);
  };
  await body.pipeTo(new WritableStream({ write }));
  log.stored({ size: tally.bytes, crc: tally.crc, name: await target.publish() });
}

/** Says no to one request. The conversation goes on. */
export async function refuse(
  connection: Connection,
  { log }: ServerContext,
  error: InletError,
): Promise<void> {
  log.failure(error);
  await connection.write(encodeError(error));
}

/** Where a body goes: a file in flight, or the server's stdout. */
export interface Target extends Disposable {
  write(chunk: Uint8Array): void | Promise<void>;
  /** Makes it count, and gives the name that it got. */
  publish(): Promise<string>;
}

/**
 * A body on its way into a target. Whatever the target cannot do is answered at once, and the rest
 * of the body is read past, so that the next line is a line again; where that would take too long,
 * the connection ends instead.
 */
export class Reception {
  readonly #connection: Connection;
  readonly #context: ServerContext;
  readonly #what: string;
  readonly #tally = new Tally();
  #target: Target | undefined;
  #refused = false;
  #skipped = 0;

  constructor(connection: Connection, context: ServerContext, what: string) {
    this.#connection = connection;
    this.#context = context;
    this.#what = what;
  }

  /**
   * @param size `null` where the sender does not know it.
   * @param asked Whether the sender waits for `go` before it sends, and sends nothing without.
   * @param shownName The name to acknowledge, in place of the one that the body got.
   * @returns What was stored and acknowledged, or `undefined` after a refusal.
   */
  async run(
    open: () => Target,
    size: number | null,
    asked: boolean,
    shownName?: string,
  ): Promise<Stored | undefined> {
    try {
      await this.#attempt(() => void (this.#target = open()));
      if (asked && this.#refused) return undefined;
      if (asked) await this.#connection.write(encodeReply({ type: "go", offset: 0 }));
      const trailer = await receiveBody(this.#connection, size, (chunk) => this.#write(chunk));
      return await this.#conclude(trailer, shownName);
    } finally {
      this.#target?.[Symbol.dispose]();
    }
  }

  async #write(chunk: Uint8Array): Promise<void> {
    if (this.#refused) return this.#skip(chunk);
    await this.#attempt(() => {
      this.#tally.add(chunk);
      checkSize(this.#what, this.#tally.bytes, this.#context.maxBytes);
      return this.#target!.write(chunk);
    });
  }

  async #conclude(trailer: BodyLine, shownName?: string): Promise<Stored | undefined> {
    if (this.#refused) return undefined;
    let name = "";
    await this.#attempt(async () => {
      this.#verify(trailer);
      name = await this.#target!.publish();
    });
    if (this.#refused) return undefined;
    const stored = { size: this.#tally.bytes, crc: this.#tally.crc, name };
    const detail = formatStored({ ...stored, name: shownName ?? name });
    await this.#connection.write(encodeReply({ type: "ok", detail }));
    return stored;
  }

  #verify(trailer: BodyLine): void {
    if (trailer.type === "abort") {
      throw new InletError("aborted", `Did not ${this.#what}: ${trailer.text}`);
    }
    checkCrc(`Cannot ${this.#what}`, this.#tally, trailer);
  }

  async #attempt(action: () => void | Promise<void>): Promise<void> {
    try {
      await action();
    } catch (error) {
      this.#refused = true;
      this.#target?.[Symbol.dispose]();
      await refuse(this.#connection, this.#context, explain(error, `Cannot ${this.#what}`));
    }
  }

  #skip(chunk: Uint8Array): void {
    this.#skipped += chunk.length;
    if (this.#skipped <= MAX_SKIPPED_BYTES) return;
    // The refusal was said already. A second one would answer the next request.
    this.#connection.farewell = undefined;
    throw new InletError("aborted", "Gave up reading past a refused body");
  }
}
