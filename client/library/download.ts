/**
 * Downloads of the library: a stream that ends only if all of it is verified.
 *
 * @module
 */

import { InletError } from "../../lib/errors.ts";
import { quoted } from "../../lib/text.ts";
import type { FilesClient } from "../../modes/files/client.ts";
import type { Received } from "../../modes/files/answers.ts";
import { OutputTarget } from "../output.ts";
import { failureOf, Flow, stopOnAbort } from "./flow.ts";
import { Watcher } from "./meter.ts";
import type { Session } from "./session.ts";
import type { Download, GetOptions, KeptBeginning, Verified } from "./types.ts";

/** Bytes of a body that are received before the program reads them. */
const AHEAD_BYTES = 1024 * 1024;

/** A body that tells its size, and goes on in another connection only if that is still the same. */
class BodyTarget extends OutputTarget {
  /** Settles once the size is known. */
  readonly begun: PromiseWithResolvers<number> = Promise.withResolvers<number>();
  readonly #name: string;
  #size: number | undefined;
  #isOther = false;

  constructor(
    name: string,
    write: (chunk: Uint8Array) => Promise<void>,
    kept: KeptBeginning | undefined,
  ) {
    super(name, async (chunk) => {
      this.check();
      await write(chunk);
    }, kept);
    this.#name = name;
  }

  /** What follows is stopped in order, when it comes to be written. */
  override startOver(): void {
    this.#isOther = true;
  }

  expect(size: number): void {
    if (this.#size !== undefined && this.#size !== size) this.#isOther = true;
    this.#size ??= size;
    if (!this.#isOther) this.begun.resolve(size);
  }

  /** @throws {InletError} `changed` if it is another file than that of which there is a part */
  check(): void {
    if (!this.#isOther) return;
    const why = "the file on the server is no longer the one whose beginning was read";
    throw new InletError("changed", `Cannot continue ${quoted(this.#name)}: ${why}`);
  }
}

/** Requests a file, and resolves once it begins to arrive. */
export async function download(
  session: Session,
  name: string,
  options: GetOptions,
): Promise<Download> {
  const { signal } = options;
  signal?.throwIfAborted();
  const flow = new Flow<Uint8Array<ArrayBuffer>>(
    session,
    new ByteLengthQueuingStrategy({ highWaterMark: AHEAD_BYTES }),
  );
  const watcher = new Watcher(options);
  // The chunk is a part of a buffer that is used again.
  const target = new BodyTarget(name, (chunk) => flow.write(chunk.slice()), options.kept);
  const verified = Promise.withResolvers<Verified>();
  verified.promise.catch(() => {});
  const get = async (client: FilesClient): Promise<Received> => {
    await client.pause(target.settled());
    session.meter.watch(watcher);
    return await client.get(name, target, flow.stopped);
  };
  const stopping = stopOnAbort(flow, signal);
  session.run(get, { signal: flow.stopped }).then(async ({ crc, modified, mode }) => {
    target.check();
    await watcher.check();
    flow.end();
    verified.resolve({ crc, modified, mode });
  }).catch((error) => {
    const failure = failureOf(error, signal);
    flow.fail(failure);
    target.begun.reject(failure);
    verified.reject(failure);
  }).finally(() => stopping[Symbol.dispose]());
  const size = await target.begun.promise;
  return { name, size, body: flow.stream, verified: verified.promise };
}
