/**
 * The client's part of a resumed upload: it finds the server's partial file by a fingerprint, and
 * proves that it has the file.
 *
 * A module of its own, because most transfers resume nothing.
 *
 * @module
 */

import { fingerprintOf, MAX_RANGE_BYTES, rangesDigest } from "../../lib/body/fingerprint.ts";
import type { Beginning, FileSource } from "../../lib/body/sources.ts";
import { InletError } from "../../lib/errors.ts";
import { formatCount } from "../../lib/text.ts";
import { encodeRequest, type Fields, type Reply } from "../../protocol.ts";
import { type Requester, unexpected } from "./requester.ts";

/** What the server lets the client do. */
export interface Offer {
  /** Bytes that the server has already. */
  readonly offset: number;
  /** What the client shows to resume this upload in its turn. */
  readonly ticket: string | undefined;
}

/** Most partial files that the server may ask about. */
const MAX_ASKED = 16;

/**
 * Asks the server for its partial file of a source.
 *
 * @param fields Those of the request: the ticket of an earlier attempt, and the id of the upload.
 * @throws {InletError} what the server refuses with; `bad-request` if it breaks the rules
 */
export async function askToResume(
  requester: Requester,
  source: FileSource,
  file: Beginning,
  fields: Fields,
): Promise<Offer> {
  const { name, size } = source;
  const fingerprint = await fingerprintOf(source, (offset, into) => file.readAt(offset, into));
  await requester.write(encodeRequest({ type: "reput", fingerprint, size, name, fields }));
  // The server may have to read all of a partial file before it answers.
  let reply = await requester.reply(size);
  for (let asked = 0; reply.type === "prove" && asked < MAX_ASKED; asked++) {
    const digest = await prove(requester, file, reply);
    await requester.write(encodeRequest({ type: "proof", digest }));
    if (asked === 0) file.readAhead();
    reply = await requester.reply(size);
  }
  if (reply.type === "error") throw unexpected(reply);
  if (reply.type !== "go" || reply.offset > size) throw requester.giveUp(unexpected(reply));
  return { offset: reply.offset, ticket: reply.fields?.ticket };
}

async function prove(
  requester: Requester,
  file: Beginning,
  { nonce, length, offsets }: Extract<Reply, { type: "prove" }>,
): Promise<string> {
  if (length > MAX_RANGE_BYTES) {
    const reason = `The server asked for ranges of ${formatCount(length)} bytes`;
    throw requester.giveUp(new InletError("bad-request", reason));
  }
  // A range behind the end reads as zeros: what is kept there is of another file, and that shows.
  return await rangesDigest(nonce, length, offsets, (offset, into) => file.readAt(offset, into));
}
