/**
 * Stores the body of a wire that has neither a checksum nor an acknowledgement: raw and upload.
 *
 * @module
 */

import { Tally } from "../body/streams.ts";
import type { ServerContext } from "./context.ts";
import { checkSize } from "./size_limit.ts";

/** Where a body goes: a file in flight, or the server's stdout. */
export interface Target extends Disposable {
  write(chunk: Uint8Array): void | Promise<void>;
  /** Makes it count, and gives the name that it got. */
  publish(modified?: Date): Promise<string>;
  /** Gives up what was written. */
  discard(): void;
}

/**
 * Stores a body of this kind under the target's name.
 *
 * @param what The action, for messages: `store "a.txt"`.
 */
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
