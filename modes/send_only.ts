/**
 * Client half of the modes in which the server answers nothing, or one line that refuses.
 *
 * @module
 */

import type { Stored } from "../protocol.ts";
import type { WireContext } from "../lib/cli/client_context.ts";
import { AwakeTimer, lookAround } from "../lib/net/awake.ts";
import type { Connection } from "../lib/net/connection.ts";
import { DEFAULT_TIMEOUT_MS } from "../lib/net/whole_line.ts";
import { InletError } from "../lib/errors.ts";
import { localError } from "../lib/local_errors.ts";
import { checkUnchanged, type OpenBody, type Source } from "../lib/body/sources.ts";
import { formatCount, quoted } from "../lib/text.ts";
import { hintAtSilence, openOnClient } from "./opening.ts";
import { type Heard, listenForRefusal } from "./refusal.ts";

/** Silence after which a server that talks has taken what was sent, in milliseconds. */
const TALK_MS = 1000;

/** So often that is waited for, while the server goes on talking. */
const MOST_TALKS = 10;

/** Time for the reset of a closed connection to arrive, in milliseconds. */
const RESET_MS = 100;

/**
 * Sends a whole source, closes, and waits for the server to close. An orderly close is the only
 * acknowledgement in these modes. A client that gives up before resets the connection.
 *
 * @throws {InletError} the server's refusal; `lost`, `timeout`; `changed` if the file changed while
 * it was read
 */
export async function sendToEnd(
  connection: Connection,
  source: Source,
  context: WireContext,
): Promise<Partial<Stored>> {
  connection.unfinished = true;
  await openOnClient(connection, context);
  if (source.size === 0) {
    context.onNotice(`${quoted(source.label)} is empty: the server may store nothing for it`);
  }
  let size = 0;
  using body = await source.open((bytes) => {
    size += bytes;
    context.progress.add(bytes);
  });
  await sendListening(connection, source, body, context, { halfClose: true, sent: () => size });
  return summaryOf(body, size);
}

/**
 * Sends a body while listening for a refusal, and waits for the server to close.
 *
 * @param options.halfClose Whether to close the sending direction after the body.
 * @param options.sent Tells how many bytes of the body were sent.
 * @throws {InletError} as {@linkcode sendToEnd}
 */
export async function sendListening(
  connection: Connection,
  source: Source,
  body: OpenBody,
  context: WireContext,
  { halfClose, sent }: { halfClose: boolean; sent: () => number },
): Promise<void> {
  const stop = new AbortController();
  const heard = { bytes: 0 };
  const answer = listenForRefusal(connection, context, heard);
  let endedFirst = false;
  // A server may close its sending direction first, as netcat does, and still receive.
  answer.then((refusal) => refusal ? stop.abort() : endedFirst = true, () => stop.abort());
  try {
    // A pending write may never finish once the server has stopped reading.
    await Promise.race([connection.send(body.stream, stop.signal), aborted(stop)]);
    checkUnchanged(source, body, context);
    // What has arrived by now is heard first.
    await lookAround(() => [connection]);
    // A server that is gone answers the last bytes with a reset.
    if (endedFirst) await new Promise((resolve) => setTimeout(resolve, RESET_MS));
    if (halfClose || endedFirst) await connection.closeWrite();
    connection.unfinished = false;
  } catch (error) {
    const failure = localError(error, `Cannot send ${quoted(source.label)}`);
    // The server's refusal explains the failure better. After a local failure there is none.
    if (stop.signal.aborted || failure.code === "lost") throwIf(await answer);
    throw failure;
  }
  throwIf(await ending(connection, answer, { sent: sent(), heard }, context));
}

/**
 * Waits for the server to close, as long as the user allows.
 *
 * @param moved Bytes of the body, and of what the server has said.
 * @throws {InletError} `timeout`
 */
async function ending(
  connection: Connection,
  answer: Promise<InletError | undefined>,
  { sent, heard }: { sent: number; heard: Heard },
  context: WireContext,
): Promise<InletError | undefined> {
  const lingerMs = context.wire.lingerMs ?? context.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  if (lingerMs === 0) {
    // What a server says to a closed connection resets it, and what was still on its way is lost.
    for (let said = -1, talks = 0; said < heard.bytes && talks < MOST_TALKS; talks++) {
      said = heard.bytes;
      const silence = Promise.withResolvers<"silence">();
      setTimeout(() => silence.resolve("silence"), said > 0 ? TALK_MS : 0);
      const end = await Promise.race([answer, silence.promise]);
      if (end !== "silence") return end;
    }
    return undefined;
  }
  using _hint = hintAtSilence(context, "; if it never closes, see --linger");
  const { promise: late, reject } = Promise.withResolvers<never>();
  const what = `${formatCount(sent)} bytes sent; the server has not closed the connection`;
  using _timer = new AwakeTimer(lingerMs, () => reject(new InletError("timeout", what)));
  return await connection.unwatched(Promise.race([answer, late]));
}

function summaryOf(body: OpenBody, size: number): Partial<Stored> {
  return "tally" in body ? { size, crc: body.tally.crc } : { size };
}

function aborted({ signal }: AbortController): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason));
  });
}

function throwIf(refusal: InletError | undefined): void {
  if (refusal) throw refusal;
}
