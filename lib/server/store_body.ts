/**
 * Stores a body whose wire verifies its size at most: raw, upload and HTTP.
 *
 * @module
 */

import type { Stored } from "../../protocol.ts";
import type { Facts } from "../body/file_facts.ts";
import { Tally } from "../body/streams.ts";
import type { Connection } from "../net/connection.ts";
import type { Maybe, Upload } from "../store/store.ts";
import type { ServerContext } from "./context.ts";
import { checkSize } from "./size_limit.ts";

/** The destination of a body: an upload of the store, or the server's stdout. */
export type Target = Pick<Upload, "write" | "publish" | "discard" | typeof Symbol.asyncDispose>;

/** What is known of a body that is whole. */
interface Whole {
  /** All of them, those of an earlier attempt too. */
  readonly bytes: number;
  readonly crc: number;
  readonly facts?: Facts;
}

/** Publishes a body, and logs it: once, and also if its client has left meanwhile. */
export async function publish(
  target: Pick<Target, "publish">,
  { log }: Pick<ServerContext, "log">,
  { bytes: size, crc, facts = {} }: Whole,
): Promise<Stored> {
  const stored = { size, crc, name: await target.publish(facts, crc) };
  log.stored(stored);
  return stored;
}

/** Writes one body to its target, within the limit on its size, and publishes it. */
export class BodyStorer {
  readonly #connection: Connection;
  readonly #target: Target;
  readonly #what: string;
  readonly #context: ServerContext;
  readonly #tally = new Tally();

  /** @param what The action, for messages: `store "a.txt"`. */
  constructor(connection: Connection, target: Target, what: string, context: ServerContext) {
    this.#connection = connection;
    this.#target = target;
    this.#what = what;
    this.#context = context;
  }

  /**
   * Appends a chunk, which is the caller's again once this has settled.
   *
   * @throws {InletError} `too-large`, or what keeps the store from writing
   */
  write(chunk: Uint8Array): Maybe<void> {
    this.#tally.add(chunk);
    checkSize(this.#what, this.#tally.bytes, this.#context.maxBytes);
    const written = this.#target.write(chunk);
    // The client waits for this disk: that is no silence of its own.
    return written instanceof Promise ? this.#connection.unwatched(written) : written;
  }

  /** Publishes the body, which is whole, and logs it. */
  async publish(facts: Facts = {}): Promise<Stored> {
    const { bytes, crc } = this.#tally;
    const how = { bytes, crc, facts };
    return await this.#connection.unwatched(publish(this.#target, this.#context, how));
  }
}

/**
 * Writes a body to its target, publishes it, and logs it.
 *
 * @param what The action, for messages: `store "a.txt"`.
 */
export async function storeBody(
  connection: Connection,
  body: ReadableStream<Uint8Array>,
  target: Target,
  what: string,
  context: ServerContext,
): Promise<void> {
  const storer = new BodyStorer(connection, target, what, context);
  await body.pipeTo(new WritableStream({ write: (chunk) => storer.write(chunk) }));
  await storer.publish();
}
