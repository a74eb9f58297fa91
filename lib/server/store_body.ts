/**
 * Stores the body of a wire that has neither a checksum nor an acknowledgement: raw and upload.
 *
 * @module
 */

import { Tally } from "../body/streams.ts";
import type { Connection } from "../net/connection.ts";
import type { Maybe, Upload } from "../store/store.ts";
import type { ServerContext } from "./context.ts";
import { checkSize } from "./size_limit.ts";

/** The destination of a body: an upload of the store, or the server's stdout. */
export type Target = Pick<Upload, "write" | "publish" | "discard" | typeof Symbol.asyncDispose>;

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
  { maxBytes, log }: ServerContext,
): Promise<void> {
  const tally = new Tally();
  const write = (chunk: Uint8Array): Maybe<void> => {
    tally.add(chunk);
    checkSize(what, tally.bytes, maxBytes);
    const written = target.write(chunk);
    // The client waits for this disk: that is no silence of its own.
    return written instanceof Promise ? connection.unwatched(written) : written;
  };
  await body.pipeTo(new WritableStream({ write }));
  const { bytes: size, crc } = tally;
  log.stored({ size, crc, name: await connection.unwatched(target.publish({}, crc)) });
}
