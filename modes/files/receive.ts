/**
 * The server's side of a body that comes in: stored as it is, or on the native wire verified and
 * acknowledged, or refused with the conversation still in step.
 *
 * @module
 */

import { type BodyLine, encodeReply, formatStored, type Stored } from "../../protocol.ts";
import type { ServerContext } from "../../lib/server/context.ts";
import { checkSize } from "../../lib/server/size_limit.ts";
import type { Target } from "../../lib/server/store_body.ts";
import { checkCrc, receiveBody } from "./framing.ts";
import type { Connection } from "../../lib/net/connection.ts";
import { encodeError, explain, InletError } from "../../lib/errors.ts";
import { Tally } from "../../lib/body/streams.ts";

/** Most bytes of a refused body that are read past before the connection is closed instead. */
const MAX_SKIPPED_BYTES = 64 * 1024 * 1024;

/** Says no to one request. The conversation goes on. */
export async function refuse(
  connection: Connection,
  { log }: ServerContext,
  error: InletError,
): Promise<void> {
  log.failure(error);
  await connection.write(encodeError(error));
}

/** How a body is received. */
export interface ReceiveOptions<T extends Target> {
  open(): T | Promise<T>;
  /** In bytes; `null` where the sender does not know it. */
  size: number | null;
  /**
   * Agrees with a sender that waits for it on where its body begins. Missing where the body comes
   * unasked.
   *
   * @returns What is there already of the body.
   */
  negotiate?(target: T): Promise<Tally>;
  /** Whether it may come as slowly as it likes. */
  exemptFromMinRate?: boolean;
  /** The name to acknowledge, in place of the one that the body got. */
  reportedName?: (() => string) | undefined;
}

/**
 * A body on its way into a target. Whatever the target cannot do is answered at once, and the rest
 * of the body is read past, so that the next line is a line again; where that would take too long,
 * the connection ends instead.
 */
export class BodyReceiver {
  readonly #connection: Connection;
  readonly #context: ServerContext;
  readonly #what: string;
  #tally = new Tally();
  #target: Target | undefined;
  #refused = false;
  #skipped = 0;

  constructor(connection: Connection, context: ServerContext, what: string) {
    this.#connection = connection;
    this.#context = context;
    this.#what = what;
  }

  /** @returns What was stored and acknowledged, or `undefined` after a refusal. */
  async receive<T extends Target>(options: ReceiveOptions<T>): Promise<Stored | undefined> {
    const { open, size, negotiate, reportedName, exemptFromMinRate } = options;
    try {
      await this.#attempt(async () => void (this.#target = await open()));
      if (negotiate && this.#refused) return undefined;
      if (negotiate) this.#tally = await negotiate(this.#target as T);
      using _ = exemptFromMinRate ? undefined : this.#connection.enforceMinRate();
      const left = size === null ? null : size - this.#tally.bytes;
      const trailer = await receiveBody(this.#connection, left, (chunk) => this.#write(chunk));
      return await this.#conclude(trailer, reportedName);
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

  async #conclude(trailer: BodyLine, reportedName?: () => string): Promise<Stored | undefined> {
    if (this.#refused) return undefined;
    let name = "";
    await this.#attempt(async () => {
      name = await this.#target!.publish(checkEnd(this.#what, this.#tally, trailer));
    });
    if (this.#refused) return undefined;
    const stored = { size: this.#tally.bytes, crc: this.#tally.crc, name };
    const detail = formatStored({ ...stored, name: reportedName?.() ?? name });
    await this.#connection.write(encodeReply({ type: "ok", detail }));
    return stored;
  }

  async #attempt(action: () => void | Promise<void>): Promise<void> {
    try {
      await action();
    } catch (error) {
      this.#refused = true;
      this.#target?.discard();
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

/**
 * Makes sure that a body ended as its sender meant it, and is what it sent.
 *
 * @param what What was to be done with it, for the message: `store "a.txt"`.
 * @returns The time of its last change, where it has one.
 * @throws {InletError} `aborted` or `checksum`
 */
export function checkEnd(what: string, tally: Tally, trailer: BodyLine): Date | undefined {
  if (trailer.type === "abort") throw new InletError("aborted", `Did not ${what}: ${trailer.text}`);
  checkCrc(`Cannot ${what}`, tally, trailer);
  return trailer.type === "end" ? trailer.modified : undefined;
}
