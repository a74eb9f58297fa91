/**
 * The server's side of a body that comes in: verified and acknowledged, or refused with the
 * conversation still in step.
 *
 * @module
 */

import type { BodyLine, Stored } from "../../protocol.ts";
import { Tally } from "../../lib/body/streams.ts";
import { explain, InletError } from "../../lib/errors.ts";
import type { Connection } from "../../lib/net/connection.ts";
import type { ServerContext } from "../../lib/server/context.ts";
import { checkSize } from "../../lib/server/size_limit.ts";
import type { Target } from "../../lib/server/store_body.ts";
import { refuse } from "./admission.ts";
import { checkCrc, receiveBody } from "./framing.ts";

/** Most bytes of a refused body that are read past before the connection is closed instead. */
const MAX_SKIPPED_BYTES = 64 * 1024 * 1024;

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
  negotiate?(target: T): Promise<Beginning>;
  /** Whether it may come as slowly as it likes. */
  exemptFromMinRate?: boolean;
  /** The line that tells the client what was stored. */
  acknowledge(stored: Stored): Uint8Array;
}

/** What is there of a body before it comes: its size in bytes, and its CRC-32. */
export interface Beginning {
  readonly bytes: number;
  readonly crc: number;
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
  readonly #tally = new Tally();
  #target: Target | undefined;
  #refused = false;
  #skipped = 0;

  constructor(connection: Connection, context: ServerContext, what: string) {
    this.#connection = connection;
    this.#context = context;
    this.#what = what;
  }

  /** Stores the body and acknowledges it, or refuses it. */
  async receive<T extends Target>(options: ReceiveOptions<T>): Promise<void> {
    const { open, size, negotiate, acknowledge, exemptFromMinRate } = options;
    try {
      await this.#attempt(async () => void (this.#target = await open()));
      if (negotiate && this.#refused) return;
      if (negotiate) Object.assign(this.#tally, await negotiate(this.#target as T));
      using _ = exemptFromMinRate ? undefined : this.#connection.enforceMinRate();
      const left = size === null ? null : size - this.#tally.bytes;
      const trailer = await receiveBody(this.#connection, left, (chunk) => this.#write(chunk));
      await this.#conclude(trailer, acknowledge);
    } finally {
      await this.#target?.[Symbol.asyncDispose]();
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

  async #conclude(
    trailer: BodyLine,
    acknowledge: (stored: Stored) => Uint8Array,
  ): Promise<void> {
    if (this.#refused) return;
    let name = "";
    await this.#attempt(async () => {
      const modified = checkEnd(this.#what, this.#tally, trailer);
      name = await this.#target!.publish({ modified });
    });
    if (this.#refused) return;
    const { bytes: size, crc } = this.#tally;
    await this.#connection.write(acknowledge({ size, crc, name }));
  }

  async #attempt(action: () => void | Promise<void>): Promise<void> {
    try {
      await action();
    } catch (error) {
      this.#refused = true;
      await this.#target?.discard();
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
