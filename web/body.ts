/**
 * Receives the body of a request.
 *
 * @module
 */

import type { Buffer } from "node:buffer";
import { InletError } from "../lib/errors.ts";
import type { Maybe } from "../lib/store/store.ts";
import type { Exchange } from "./exchange.ts";
import { bodySize } from "./request_checks.ts";

/**
 * Asks for the body, and passes it on as it comes. It settles only when the whole body has come and is
 * written: a body that was cut, or is more or less than its `Content-Length`, is a failure.
 *
 * @param write Takes a chunk, which is its own. The next one waits for it.
 * @returns The bytes of the body.
 * @throws {InletError} `lost` if the client left; `timeout` if it is too slow; what `write` throws
 */
export async function receiveBody(
  exchange: Exchange,
  write: (chunk: Uint8Array) => Maybe<void>,
): Promise<number> {
  const { request, socket, connection } = exchange;
  const size = bodySize(request);
  let bytes = 0;
  const lost = (): InletError =>
    connection.failure ?? new InletError("lost", "The client left in the body");
  if (!request.complete && (request.destroyed || socket.broken)) throw socket.broken ?? lost();
  using _rate = connection.enforceMinRate();
  using _large = socket.expectBody(size);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let writing: Promise<void> | undefined;
  const onData = (chunk: Buffer): void => {
    bytes += chunk.length;
    try {
      const written = write(chunk);
      if (!written) return;
      request.pause();
      writing = written;
      writing.then(() => request.resume(), reject);
    } catch (error) {
      // The parser may have further chunks at once, which are not to take the place of this one.
      request.off("data", onData);
      reject(error);
    }
  };
  socket.onBroken = (error) => request.complete || reject(error);
  request.on("data", onData);
  request.once("end", resolve);
  request.once("error", () => reject(lost()));
  request.once("close", () => reject(lost()));
  try {
    exchange.proceed();
    await promise;
    await writing;
  } catch (error) {
    request.off("data", onData);
    request.pause();
    // A write that is under way still uses its chunk and its file.
    await writing?.catch(() => {});
    throw error;
  } finally {
    socket.onBroken = undefined;
  }
  if (!request.complete || (size !== null && bytes !== size)) throw lost();
  return bytes;
}
