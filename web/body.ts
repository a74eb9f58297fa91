/**
 * Receives the body of a request.
 *
 * @module
 */

import type { Buffer } from "node:buffer";
import { InletError } from "../lib/errors.ts";
import { HeldBytes } from "../lib/server/held_bytes.ts";
import type { Maybe } from "../lib/store/store.ts";
import type { Exchange } from "./exchange.ts";
import { bodySize } from "./request_checks.ts";

/**
 * From so many bytes on, the time that a new parser takes for the next request does not matter. It is
 * more than can have been read with the head: whatever is not parsed is of the body.
 */
const LARGE_BYTES = 1024 * 1024;

/**
 * Asks for the body, and passes it on as it comes. It settles only when the whole body has come and is
 * written: a body that was cut, or is more or less than its `Content-Length`, is a failure.
 *
 * @param write Takes a chunk. The next one waits for it.
 * @param options.letsGo Whether `write` is done with a chunk once it has settled. Otherwise the chunk
 * is its own, which makes large bodies slower.
 * @returns The bytes of the body.
 * @throws {InletError} `lost` if the client left; `timeout` if it is too slow; what `write` throws
 */
export async function receiveBody(
  exchange: Exchange,
  write: (chunk: Uint8Array) => Maybe<void>,
  { letsGo = false } = {},
): Promise<number> {
  const { request, socket, connection } = exchange;
  const size = bodySize(request);
  let bytes = 0;
  const lost = (): InletError =>
    connection.failure ?? new InletError("lost", "The client left in the body");
  if (!request.complete && (request.destroyed || socket.broken)) throw socket.broken ?? lost();
  using _rate = connection.enforceMinRate();
  if (letsGo && size !== null && size >= LARGE_BYTES) {
    return await receivePast(exchange, size, write);
  }
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

/**
 * Receives a body that is a short text.
 *
 * @param mostBytes The limit on its size.
 * @throws {InletError} `too-large`, or what {@linkcode receiveBody} throws; `bad-request` if it is not
 * UTF-8
 */
export async function receiveText(exchange: Exchange, mostBytes: number): Promise<string> {
  const what = `Cannot ${exchange.request.method} this`;
  const held = new HeldBytes(mostBytes);
  const tooLarge = (): InletError =>
    new InletError("too-large", `${what}: the limit is ${mostBytes} bytes`);
  // Before a client that waits for that is asked for it.
  if ((bodySize(exchange.request) ?? 0) > mostBytes) throw tooLarge();
  const add = (chunk: Uint8Array): void => {
    if (!held.add(chunk)) throw tooLarge();
  };
  await receiveBody(exchange, add);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(held.take());
  } catch {
    throw new InletError("bad-request", `${what}: it is not UTF-8`);
  }
}

/**
 * Receives a large body past the parser: what arrives is written from where it was read to. The parser
 * looks only at what it had before that.
 */
async function receivePast(
  exchange: Exchange,
  size: number,
  write: (chunk: Uint8Array) => Maybe<void>,
): Promise<number> {
  const { request, socket } = exchange;
  const next = socket.takePast();
  exchange.proceed();
  let bytes = 0;
  const take = (chunk: Uint8Array): Maybe<void> => {
    bytes += chunk.length;
    return write(chunk);
  };
  for (;;) {
    const parsed: Buffer | null = request.read();
    if (parsed) await take(parsed);
    else if (socket.readableLength > 0) await new Promise((resolve) => setImmediate(resolve));
    else break;
  }
  while (bytes < size) await take(await next(size - bytes));
  return bytes;
}
