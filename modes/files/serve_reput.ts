/**
 * Serves `reput`: resumes the partial file of an interrupted upload, for a client that proves that it
 * has the file.
 *
 * @module
 */

import { isDropOnly } from "../../lib/auth/access.ts";
import { decodeRequest, encodeReply, MAX_RANGES, type Request } from "../../protocol.ts";
import { makeNonce } from "../../lib/auth/key.ts";
import { MAX_RANGE_BYTES, rangesDigest, type ReadAt } from "../../lib/body/fingerprint.ts";
import { InletError } from "../../lib/errors.ts";
import type { Connection } from "../../lib/net/connection.ts";
import { admit } from "../../lib/server/admission.ts";
import { rightsOf, type ServerContext } from "../../lib/server/context.ts";
import type { Kept, PartialFile, Resumable, Upload } from "../../lib/store/store.ts";
import { formatBytes, quoted } from "../../lib/text.ts";
import { acknowledge } from "./admission.ts";
import { BodyReceiver } from "./receive.ts";
import { patiently, restOf } from "./wait.ts";

type Reput = Extract<Request, { type: "reput" }>;

/** The ranges that a client answers for lie within so many whole MiB of a partial file. */
const STEP_BYTES = 1024 * 1024;

/**
 * Serves `reput`: continues the partial file of an earlier attempt, and keeps it if the transfer is
 * interrupted again.
 */
export async function serveReput(
  connection: Connection,
  context: ServerContext,
  request: Reput,
): Promise<void> {
  const { size, name } = request;
  const what = `store ${quoted(name)}`;
  const how: Resumable = {
    fingerprint: request.fingerprint,
    size,
    onTaken: () =>
      connection.abort(
        new InletError("aborted", "Another connection resumed this upload, or it was removed"),
      ),
  };
  await new BodyReceiver(connection, context, what).receive({
    open: async () => {
      admit(context, "reput", what, size);
      // A drop-only server must not reveal the partial files of other clients.
      const { store } = context;
      if (isDropOnly(rightsOf(context))) {
        return await patiently(connection, what, () => store.receive(name, size));
      }
      return await resume(connection, context, request, how) ??
        await patiently(connection, what, () => store.receiveResumable(name, size, how));
    },
    size,
    id: request.fields?.id,
    negotiate: (upload, counted) => {
      upload.counted = counted;
      return agreeOnOffset(connection, context, name, upload);
    },
    onPublished: (stored) => context.log.stored(stored),
    acknowledge: (stored) => acknowledge(context, stored, name),
  });
}

/** Takes over the first partial file of which the client proves that it has the content. */
async function resume(
  connection: Connection,
  { store }: ServerContext,
  { fingerprint, size, name, fields }: Reput,
  how: Resumable,
): Promise<Upload | undefined> {
  for await (const partial of store.findPartials(name, { fingerprint, ticket: fields?.ticket })) {
    // Also one that is larger than the file: the question must not tell whether it is.
    if (partial.bytes > 0 && !await isOwner(connection, partial)) continue;
    const upload = await patiently(
      connection,
      `store ${quoted(name)}`,
      (asker) => partial.take(how, asker),
    );
    if (upload && upload.kept.bytes <= size) return upload;
    await upload?.[Symbol.asyncDispose]();
  }
  return undefined;
}

/** Whether the client has the content of a partial file: it answers for random ranges of it. */
async function isOwner(connection: Connection, partial: PartialFile): Promise<boolean> {
  const nonce = makeNonce();
  const { length, offsets } = partial.samples ?? randomRanges(partial.bytes);
  const read: ReadAt = (offset, into) => partial.read(offset, into);
  const expected = await connection.unwatched(rangesDigest(nonce, length, offsets, read));
  await connection.write(encodeReply({ type: "prove", nonce, length, offsets }));
  const line = await connection.readLine();
  const answer = line === null ? null : decodeRequest(line);
  if (answer?.type === "proof") return answer.digest === expected;
  throw new InletError("bad-request", 'Cannot resume: send "proof DIGEST"');
}

/** Ranges of a partial file that can be read anywhere. @param bytes Its length. */
function randomRanges(bytes: number): { length: number; offsets: number[] } {
  // Rounded, so that not even many answers tell how much is kept to the byte.
  const covered = bytes < STEP_BYTES
    ? 2 ** Math.floor(Math.log2(bytes))
    : bytes - bytes % STEP_BYTES;
  const length = Math.min(covered, MAX_RANGE_BYTES);
  return {
    length,
    offsets: Array.from({ length: MAX_RANGES }, () => randomUpTo(covered - length)),
  };
}

/** A whole number from 0 to `most` that no client can foresee. */
function randomUpTo(most: number): number {
  const [bits = 0n] = crypto.getRandomValues(new BigUint64Array(1));
  return Number(bits % BigInt(most + 1));
}

/** Tells where the body begins. */
async function agreeOnOffset(
  connection: Connection,
  context: ServerContext,
  name: string,
  { kept, ticket }: Upload,
): Promise<Kept> {
  const fields = ticket === undefined ? {} : { fields: { ticket } };
  await connection.write(encodeReply({ type: "go", offset: kept.bytes, ...fields }));
  if (kept.bytes === 0) return kept;
  // A client may read as many bytes of its own file first; ours does so meanwhile.
  await connection.rest(restOf(context.sessionTimeoutMs));
  context.log.info("resumed", `resumes ${quoted(name)} at ${formatBytes(kept.bytes)}`, {
    file: name,
    bytes: kept.bytes,
  });
  return kept;
}
