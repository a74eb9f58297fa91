/**
 * The bytes of a tus upload: they are appended as they come, kept if the request breaks off, and
 * published when all of them are there.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { equals } from "@std/bytes/equals";
import { BeginningCrc } from "../lib/body/reading.ts";
import { Tally } from "../lib/body/streams.ts";
import type { InletError } from "../lib/errors.ts";
import { AwakeTimer } from "../lib/net/awake.ts";
import { discard } from "../lib/net/departure.ts";
import { checkSize } from "../lib/server/size_limit.ts";
import { publish } from "../lib/server/store_body.ts";
import type { OngoingBody, OngoingUpload, Outcome } from "../lib/store/ongoing.ts";
import type { Maybe, Upload } from "../lib/store/store.ts";
import { formatBytes, quoted } from "../lib/text.ts";
import { receiveBody } from "./body.ts";
import type { Exchange } from "./exchange.ts";
import { REASONS, Refusal } from "./problem.ts";
import { detailsOf } from "./tus_details.ts";
import { type Checksum, metadataIn, modifiedIn } from "./tus_headers.ts";

/**
 * Milliseconds without a byte after which another request takes an upload over: its connection is
 * dead, and the server was not told. The client has the upload's address, so it need not wait longer.
 */
export const DEAD_MS = 1000;

/** What a request does to an upload. */
export interface Appending {
  /** Where its bytes begin. */
  readonly offset: number;
  /** Whether it has any. */
  readonly hasBody: boolean;
  /** Whether the upload is published when it is whole. One that is to be joined with others is not. */
  readonly publishes: boolean;
  readonly checksum?: Checksum | undefined;
}

/** What became of the upload. */
export interface Appended {
  readonly offset: number;
  /** Missing if it is not published: all that has arrived is kept then. */
  readonly outcome: Outcome | undefined;
}

/** Appends the body of a request, and publishes the upload if it is whole then. */
export async function append(
  exchange: Exchange,
  ongoing: OngoingUpload,
  appending: Appending,
): Promise<Appended> {
  const { connection, context } = exchange;
  const { name } = ongoing;
  const { offset, hasBody, publishes, checksum } = appending;
  const isTentative = checksum !== undefined;
  await using upload = await takeOver(exchange, ongoing, isTentative);
  // Another request may have told it meanwhile.
  const { size } = ongoing;
  checkOffset(offset, upload.kept.bytes);
  if (hasBody && offset > 0) {
    const message = `resumes ${quoted(name)} at ${formatBytes(offset)}`;
    context.log.info("resumed", message, { file: name, bytes: offset });
  }
  // Read meanwhile, if this process does not know its CRC-32.
  using beginning = offset > 0 && publishes && size !== null
    ? new BeginningCrc(offset, (options) => upload.kept.crc(options))
    : undefined;
  context.log.sized(size, offset);
  const tally = hasBody ? await receive(exchange, ongoing, upload, appending) : new Tally();
  if (isTentative) await ongoing.confirm();
  const bytes = offset + tally.bytes;
  if (!publishes || bytes !== size) {
    await connection.unwatched(upload.keep());
    return { offset: bytes, outcome: undefined };
  }
  const { crc } = beginning ? await connection.unwatched(beginning.whole(tally)) : tally;
  const modified = modifiedIn(metadataIn(detailsOf(ongoing).metadata));
  const whole = { bytes, crc, facts: modified ? { modified } : {} };
  const { name: stored } = await connection.unwatched(publish(upload, context, whole));
  return { offset: bytes, outcome: { name: stored, size } };
}

/**
 * Takes an upload over, from a request that is dead too.
 *
 * @param isTentative Whether what is written counts only once it is confirmed.
 * @throws {Refusal} 423 if another request is sending it
 */
export async function takeOver(
  exchange: Exchange,
  ongoing: OngoingUpload,
  isTentative = false,
): Promise<OngoingBody> {
  const { connection } = exchange;
  const onTaken = (): void => connection.abort(taken());
  await catchUp(ongoing);
  let taking: Promise<OngoingBody | undefined> | undefined;
  try {
    const upload = await exchange.whileThere((signal) =>
      taking = ongoing.take({ quietMs: DEAD_MS, isTentative, onTaken }, signal)
    );
    if (upload) return upload;
  } catch (error) {
    // If the client left meanwhile, it is for the next one.
    taking?.then(discard).catch(() => {});
    throw error;
  }
  refuseBusy();
}

/** Reads what has come of an upload that seems dead: this server may have hung meanwhile. */
export async function catchUp(ongoing: OngoingUpload): Promise<void> {
  if ((ongoing.quietMs ?? 0) < DEAD_MS) return;
  await new Promise<void>((resolve) => new AwakeTimer(0, resolve));
}

/** @throws {Refusal} 423 */
export function refuseBusy(): never {
  throw new Refusal(423, "Cannot go on: another request is sending this upload", { code: "wait" });
}

/** @throws {Refusal} 409 if a request begins elsewhere than the upload ends */
export function checkOffset(asked: number, bytes: number): void {
  if (asked === bytes) return;
  throw new Refusal(409, `Cannot go on at ${asked}: ${bytes} bytes are here`, {
    headers: { "Upload-Offset": bytes },
  });
}

function taken(): InletError {
  return new Refusal(423, "Another request took this upload over, or it was removed", {
    code: "aborted",
  });
}

/** Receives the body of a request. With a checksum, all of it counts or nothing. */
async function receive(
  exchange: Exchange,
  { name, size }: OngoingUpload,
  upload: Upload,
  { offset, checksum }: Appending,
): Promise<Tally> {
  const { connection, context: { maxBytes } } = exchange;
  const what = `store ${quoted(name)}`;
  const hash = checksum && hashBy(checksum.algorithm);
  const tally = upload.counted = new Tally();
  const write = (chunk: Uint8Array): Maybe<void> => {
    const end = offset + tally.bytes + chunk.length;
    checkSize(what, end, maxBytes);
    if (size !== null) checkLength(what, end, size);
    tally.add(chunk);
    hash?.update(chunk);
    const written = upload.write(chunk);
    return written instanceof Promise ? connection.unwatched(written) : written;
  };
  try {
    await receiveBody(exchange, write, { letsGo: true });
    if (checksum && !equals(hash!.digest(), checksum.value)) {
      exchange.response.statusMessage = REASONS[460]!;
      throw new Refusal(460, `Cannot ${what}: the checksum is another one`, { code: "checksum" });
    }
    return tally;
  } catch (error) {
    if (checksum) await upload.discard();
    throw error;
  }
}

/** @throws {Refusal} 413 if more comes than the upload has */
export function checkLength(what: string, end: number, size: number): void {
  if (end <= size) return;
  throw new Refusal(413, `Cannot ${what}: its Upload-Length is ${size}`, { code: "too-large" });
}

/** A checksum as it is computed. */
interface Hash {
  update(chunk: Uint8Array): void;
  digest(): Uint8Array;
}

function hashBy(algorithm: string): Hash {
  if (algorithm !== "crc32") return createHash(algorithm);
  const tally = new Tally();
  return {
    update: (chunk) => tally.add(chunk),
    digest: () => {
      const bytes = new Uint8Array(4);
      new DataView(bytes.buffer).setUint32(0, tally.crc);
      return bytes;
    },
  };
}
