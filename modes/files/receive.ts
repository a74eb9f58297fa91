/**
 * Receives an upload on the server: acknowledges it, or refuses it and keeps the session usable.
 *
 * @module
 */

import { type BodyLine, encodeLine, type Stored } from "../../protocol.ts";
import { BeginningCrc } from "../../lib/body/reading.ts";
import { Tally } from "../../lib/body/streams.ts";
import { clientOf } from "../../lib/address.ts";
import { explain, InletError } from "../../lib/errors.ts";
import type { Connection } from "../../lib/net/connection.ts";
import { admittedFacts } from "../../lib/server/admission.ts";
import type { ServerContext } from "../../lib/server/context.ts";
import { checkSize } from "../../lib/server/size_limit.ts";
import type { Target } from "../../lib/server/store_body.ts";
import { refuse } from "./admission.ts";
import type { Kept } from "../../lib/store/store.ts";
import { patiently, restOf } from "./wait.ts";
import { MAX_SKIPPED_BYTES } from "./announced.ts";
import { type Attendance, receiveBody } from "./framing.ts";
import { checkEnd } from "./verification.ts";

/** Options of {@linkcode BodyReceiver.receive}. */
export interface ReceiveOptions<T extends Target> {
  open(): T | Promise<T>;
  /** Size in bytes; `null` if the sender does not know it. */
  size: number | null;
  /**
   * Agrees with the sender on where the body begins. Missing for a push: its sender does not wait.
   *
   * @param counted What is received behind that, as it is counted.
   * @returns The part of the body that is stored already.
   */
  negotiate?(target: T, counted: Tally): Promise<Kept>;
  /** The upload's own id, if its client may send it again. */
  id?: string | undefined;
  /** Whether the minimum rate does not apply. */
  exemptFromMinRate?: boolean;
  /** Notes what was published: once, and also if the client has left meanwhile. */
  onPublished?(stored: Stored): void;
  /** The reply that acknowledges the upload, without the end of its line. */
  acknowledge(stored: Stored): string;
}

/**
 * An upload into a target. If that fails, the server refuses at once and skips the rest of the body,
 * so that the next line is a request again. If the rest is too long, it closes the connection.
 */
export class BodyReceiver {
  readonly #connection: Connection;
  readonly #context: ServerContext;
  readonly #what: string;
  readonly #tally = new Tally();
  #target: Target | undefined;
  /** The part that was stored before, if there is one. */
  #beginning: BeginningCrc | undefined;
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
      if (negotiate) this.#resume(await negotiate(this.#target as T, this.#tally));
      using minRate = exemptFromMinRate ? undefined : this.#connection.enforceMinRate();
      this.#context.log.sized(size, this.#keptBytes);
      const left = size === null ? null : size - this.#keptBytes;
      const trailer = await receiveBody(
        this.#connection,
        left,
        (chunk) => this.#write(chunk),
        this.#beginning && this.#attendance(minRate),
      );
      await this.#conclude(trailer, options);
    } finally {
      this.#beginning?.[Symbol.dispose]();
      await this.#target?.[Symbol.asyncDispose]();
    }
  }

  get #keptBytes(): number {
    return this.#beginning?.bytes ?? 0;
  }

  /** Reads what is stored already while the rest arrives, if this process does not know its CRC-32. */
  #resume(kept: Kept): void {
    if (kept.bytes === 0) return;
    const client = clientOf(this.#connection);
    this.#beginning = new BeginningCrc(kept.bytes, (options) => kept.crc({ ...options, client }));
  }

  /** The client may have to read as much of its own file before it can end the body. */
  #attendance(minRate: Disposable | undefined): Attendance {
    const rest = restOf(this.#context.sessionTimeoutMs);
    return {
      onWhole: () => minRate?.[Symbol.dispose](),
      nextLine: () => this.#connection.rest(rest),
      // A sign of life, and no more.
      onNote: () => {},
    };
  }

  async #write(chunk: Uint8Array): Promise<void> {
    if (this.#refused) return this.#skip(chunk);
    await this.#attempt(() => {
      this.#tally.add(chunk);
      checkSize(this.#what, this.#keptBytes + this.#tally.bytes, this.#context.maxBytes);
      const written = this.#target!.write(chunk);
      if (!written) return;
      // The client waits for the store: that is no silence of its own.
      return patiently(this.#connection, this.#what, () => written, { usesChunk: true });
    });
  }

  async #conclude(
    trailer: BodyLine,
    { id, onPublished, acknowledge }: Omit<ReceiveOptions<Target>, "open">,
  ): Promise<void> {
    if (this.#refused) return;
    const target = this.#target!;
    let stored: Stored | undefined;
    await this.#attempt(async () => {
      // Nothing is computed for a body that was aborted.
      const tally = trailer.type === "end" ? await this.#whole() : this.#tally;
      const facts = { ...checkEnd(this.#what, tally, trailer, this.#beginning !== undefined), id };
      const { bytes: size, crc } = tally;
      const publish = async (): Promise<string> => {
        const name = await target.publish(admittedFacts(this.#context, facts), crc);
        onPublished?.({ size, crc, name });
        return name;
      };
      const discard = target.discard.bind(target);
      const once = (): Promise<string> =>
        this.#context.acknowledged.publishOnce({ id, size, crc }, publish, discard);
      // A disk that is slow to flush is no silence of this side.
      const name = await patiently(this.#connection, this.#what, once);
      stored = { size, crc, name };
    });
    if (stored) await this.#connection.write(encodeLine(acknowledge(stored)));
  }

  /** What is stored of the body, once what an earlier attempt stored has been read too. */
  async #whole(): Promise<Tally> {
    const beginning = this.#beginning;
    if (!beginning) return this.#tally;
    const whole = (): Promise<Tally> => beginning.whole(this.#tally);
    const told = (): string => `${beginning.reading}`;
    return await patiently(this.#connection, this.#what, whole, { told });
  }

  async #attempt(action: () => void | Promise<void>): Promise<void> {
    try {
      await action();
    } catch (error) {
      // To a client that has left, all that came was good. It may resume it.
      if (this.#connection.failure) throw this.#connection.failure;
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
