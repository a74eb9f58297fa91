/**
 * Receives an upload on the server: verifies and acknowledges it, or refuses it and keeps the
 * session usable.
 *
 * @module
 */

import { type BodyLine, factsOf, type Stored } from "../../protocol.ts";
import { Tally } from "../../lib/body/streams.ts";
import { explain, InletError } from "../../lib/errors.ts";
import type { Connection } from "../../lib/net/connection.ts";
import type { ServerContext } from "../../lib/server/context.ts";
import { checkSize } from "../../lib/server/size_limit.ts";
import type { Target } from "../../lib/server/store_body.ts";
import type { Facts } from "../../lib/body/file_facts.ts";
import { admittedFacts, refuse } from "./admission.ts";
import { patiently } from "./wait.ts";
import { MAX_SKIPPED_BYTES } from "./announced.ts";
import { checkCrc, receiveBody } from "./framing.ts";

/** Options of {@linkcode BodyReceiver.receive}. */
export interface ReceiveOptions<T extends Target> {
  open(): T | Promise<T>;
  /** Size in bytes; `null` if the sender does not know it. */
  size: number | null;
  /**
   * Agrees with the sender on the offset where the body begins. Missing for a push, whose sender
   * does not wait.
   *
   * @returns The part of the body that is stored already.
   */
  negotiate?(target: T): Promise<Beginning>;
  /** The upload's own id, if its client may send it again. */
  id?: string | undefined;
  /** Whether the minimum rate does not apply. */
  exemptFromMinRate?: boolean;
  /** Encodes the line that acknowledges the upload. */
  acknowledge(stored: Stored): Uint8Array;
}

/** The part of a body that is stored before the transfer: its size in bytes, and its CRC-32. */
export interface Beginning {
  readonly bytes: number;
  readonly crc: number;
}

/**
 * An upload into a target. If the target fails, the server refuses at once and skips the rest of
 * the body, so that the next line is a request again. If the rest is too long, it closes the
 * connection.
 */
export class BodyReceiver {
  readonly #connection: Connection;
  readonly #context: ServerContext;
  readonly #what: string;
  readonly #tally = new Tally();
  #target: Target | undefined;
  #isResumed = false;
  #refused = false;
  #skipped = 0;

  constructor(connection: Connection, context: ServerContext, what: string) {
    this.#connection = connection;
    this.#context = context;
    this.#what = what;
  }

  /** Stores the body and acknowledges it, or refuses it. */
  async receive<T extends Target>(options: ReceiveOptions<T>): Promise<void> {
    const { open, size, negotiate, exemptFromMinRate } = options;
    try {
      await this.#attempt(async () => void (this.#target = await open()));
      if (negotiate && this.#refused) return;
      if (negotiate) Object.assign(this.#tally, await negotiate(this.#target as T));
      this.#isResumed = this.#tally.bytes > 0;
      using _ = exemptFromMinRate ? undefined : this.#connection.enforceMinRate();
      const left = size === null ? null : size - this.#tally.bytes;
      const trailer = await receiveBody(this.#connection, left, (chunk) => this.#write(chunk));
      await this.#conclude(trailer, options);
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
    { id, acknowledge }: Pick<ReceiveOptions<Target>, "id" | "acknowledge">,
  ): Promise<void> {
    if (this.#refused) return;
    const target = this.#target!;
    let name = "";
    await this.#attempt(async () => {
      const facts = checkEnd(this.#what, this.#tally, trailer, this.#isResumed);
      const { bytes: size, crc } = this.#tally;
      const publish = (): Promise<string> =>
        target.publish(admittedFacts(this.#context, facts), crc);
      const discard = (): void | Promise<void> => target.discard();
      const { acknowledged } = this.#context;
      // A disk that is slow to flush is no silence of this side.
      name = await patiently(
        this.#connection,
        this.#what,
        () => acknowledged.publishOnce({ id, size, crc }, publish, discard),
      );
    });
    if (this.#refused) return;
    const { bytes: size, crc } = this.#tally;
    await this.#connection.write(acknowledge({ size, crc, name }));
  }

  async #attempt(action: () => void | Promise<void>): Promise<void> {
    try {
      await action();
    } catch (error) {
      const failure = explain(error, `Cannot ${this.#what}`);
      // A client that breaks the rules cannot be in step any more.
      if (failure.code === "bad-request") throw failure;
      this.#refused = true;
      await this.#target?.discard();
      await refuse(this.#connection, this.#context, failure);
    }
  }

  #skip(chunk: Uint8Array): void {
    this.#skipped += chunk.length;
    if (this.#skipped <= MAX_SKIPPED_BYTES) return;
    // The refusal was sent already. A second one would look like the answer to the next request.
    this.#connection.farewell = undefined;
    throw new InletError("aborted", "Cannot skip the refused body: it is too long");
  }
}

/**
 * Checks that the sender completed a body, and that its bytes are correct.
 *
 * @param what The action, for the message: `store "a.txt"`.
 * @param isResumed Whether a partial file was resumed. Its checksum is nobody's business: whoever
 * lacks a few of its bytes could find them by it.
 * @returns What the sender told of the file.
 * @throws {InletError} `aborted` or `checksum`
 */
export function checkEnd(
  what: string,
  tally: Tally,
  trailer: BodyLine,
  isResumed = false,
): Facts {
  if (trailer.type === "abort") throw new InletError("aborted", `Did not ${what}: ${trailer.text}`);
  if (isResumed && trailer.type === "end" && trailer.crc !== tally.crc) {
    throw new InletError("checksum", `Cannot ${what}: its bytes are not those that were sent`);
  }
  checkCrc(`Cannot ${what}`, tally, trailer);
  return factsOf(trailer);
}
